// SPDX-License-Identifier: BSD-3-Clause
// Bursts, sleeping, the poller, and losses that are counted.
#include <vector>

#include "fixture.hpp"

namespace pollux::c::test {
namespace {

TEST_F(C, BurstsOfAnyLengthKeepTheOrder) {
  open_wire();
  constexpr std::uint32_t kCount = 200;
  std::vector<pollux_frame> frames(kCount);
  for (std::uint32_t i = 0; i < kCount; ++i) frames[i] = frame(static_cast<std::uint8_t>(i));
  ASSERT_EQ(pollux_tx_burst(pollux_port_tx(left, 0), frames.data(), kCount), kCount);
  pollux_context_sleep(context, 5'000'000);
  std::vector<pollux_frame> received(kCount + 50);
  ASSERT_EQ(pollux_rx_burst(pollux_port_rx(right, 0), received.data(), kCount + 50), kCount);
  for (std::uint32_t i = 0; i < kCount; ++i) ASSERT_EQ(received[i].data[20], i);
  EXPECT_EQ(pollux_rx_burst(pollux_port_rx(right, 0), received.data(), 0), 0U);
  pollux_free(nullptr, received.data(), kCount);
  EXPECT_EQ(pollux_tx_burst(pollux_port_tx(left, 0), nullptr, 0), 0U);
  EXPECT_EQ(pollux_port_rx(left, 1), nullptr);
  EXPECT_EQ(pollux_port_tx(left, 99), nullptr);
}

TEST_F(C, WhatARingDoesNotTakeStaysTheProgrammes) {
  open_wire("sim:0?rate=1000000", R"({"rx":[{}],"tx":[{"ring":64}]})");
  std::vector<pollux_frame> frames(100);
  ASSERT_TRUE(pollux_alloc(pool, frames.data(), 100, 60));
  const std::uint32_t taken = pollux_tx_burst(pollux_port_tx(left, 0), frames.data(), 100);
  EXPECT_GE(taken, 60U);
  EXPECT_LT(taken, 100U);
  pollux_free(pool, frames.data() + taken, 100 - taken);
  ASSERT_EQ(ask(left, "port.stop"), nullptr);
  pollux_frame one = frame();
  EXPECT_EQ(pollux_tx_burst(pollux_port_tx(left, 0), &one, 1), 0U) << "a stopped port takes nothing";
  pollux_free(pool, &one, 1);
}

TEST_F(C, ALostFrameIsCountedByName) {
  open_wire("sim:0?loss=1");
  pollux_frame one = frame();
  EXPECT_EQ(pass(one), 0U);
  const auto wire = nlohmann::json::parse(take(pollux_wire_counters(context, 0, &error)));
  EXPECT_EQ(wire["entered"], 1);
  EXPECT_EQ(wire["lost"], 1);
  EXPECT_EQ(wire["carried"], 0);
  EXPECT_EQ(pollux_wire_counters(context, 40, &error), nullptr);
  EXPECT_EQ(error.code, POLLUX_NOT_FOUND);
}

TEST_F(C, AFrameThatCannotBeSentIsADropOfThePort) {
  open_wire();
  pollux_frame one = frame();
  ASSERT_TRUE(pollux_frame_trim(&one, 60));
  EXPECT_EQ(pollux_tx_burst(pollux_port_tx(left, 0), &one, 1), 1U);
  const auto stats = ask(left, "port.stats");
  std::uint64_t dropped = 0;
  for (const auto& [name, count] : stats["drops"].items()) {
    if (name.starts_with("tx_")) dropped += count.get<std::uint64_t>();
  }
  EXPECT_EQ(dropped, 1U) << stats;
}

TEST_F(C, WaitingEndsWithAFrameOrTheTime) {
  open_wire();
  std::uint32_t received = 9;
  pollux_frame one = frame(3);
  const std::uint64_t begun = pollux_context_now(context);
  pollux_rx* const rx = pollux_port_rx(right, 0);
  pollux_frame other;
  ASSERT_EQ(pollux_rx_wait(context, rx, &other, 1, 5'000'000, &received, &error), POLLUX_OK) << error.message;
  EXPECT_EQ(received, 0U);
  EXPECT_GE(pollux_context_now(context), begun + 5'000'000);
  ASSERT_EQ(pollux_tx_burst(pollux_port_tx(left, 0), &one, 1), 1U);
  ASSERT_EQ(pollux_rx_wait(context, rx, &one, 1, UINT64_MAX, &received, &error), POLLUX_OK) << error.message;
  ASSERT_EQ(received, 1U);
  pollux_free(nullptr, &one, 1);
  EXPECT_EQ(pollux_rx_wait(context, rx, &one, 0, 1, &received, &error), POLLUX_INVALID_ARGUMENT);

  EXPECT_GE(pollux_rx_event_fd(rx), 0);
  EXPECT_TRUE(pollux_rx_arm(rx));
  pollux_rx_disarm(rx);
  EXPECT_GE(pollux_context_event_fd(context), 0);
}

TEST_F(C, QueuesUseAPoolOfTheirThread) {
  open_wire();
  EXPECT_EQ(pollux_rx_use_pool(pollux_port_rx(left, 0), pool, &error), POLLUX_OK) << error.message;
  EXPECT_EQ(pollux_tx_use_pool(pollux_port_tx(left, 0), pool, &error), POLLUX_OK) << error.message;
  EXPECT_EQ(pollux_rx_use_pool(pollux_port_rx(right, 0), pool, &error), POLLUX_INVALID_ARGUMENT);
}

void keep(void* user, pollux_frame* frames, std::uint32_t count) {
  auto& kept = *static_cast<std::vector<pollux_frame>*>(user);
  kept.insert(kept.end(), frames, frames + count);
}

TEST_F(C, ThePollerGivesFramesToItsCallback) {
  open_wire();
  pollux_poller* const poller = pollux_poller_open(context, &error);
  ASSERT_NE(poller, nullptr) << error.message;
  std::vector<pollux_frame> kept;
  pollux_rx* const rx = pollux_port_rx(right, 0);
  ASSERT_EQ(pollux_poller_add(poller, rx, 0, keep, &kept, &error), POLLUX_OK) << error.message;
  EXPECT_EQ(pollux_poller_add(poller, rx, 0, keep, &kept, &error), POLLUX_BUSY);
  EXPECT_EQ(pollux_poller_add(poller, pollux_port_rx(left, 0), 5000, keep, &kept, &error), POLLUX_INVALID_ARGUMENT);
  EXPECT_EQ(pollux_poller_add(poller, pollux_port_rx(left, 0), 1, nullptr, &kept, &error), POLLUX_INVALID_ARGUMENT);
  EXPECT_EQ(pollux_poller_remove(poller, pollux_port_rx(left, 0), &error), POLLUX_NOT_FOUND);

  for (std::uint8_t i = 0; i < 5; ++i) {
    pollux_frame one = frame(i);
    ASSERT_EQ(pollux_tx_burst(pollux_port_tx(left, 0), &one, 1), 1U);
  }
  std::uint32_t all = 0;
  for (int round = 0; round < 1000 && all != 5; ++round) {
    std::uint32_t frames = 0;
    ASSERT_EQ(pollux_poller_run_once(poller, 1'000'000, &frames, &error), POLLUX_OK) << error.message;
    all += frames;
  }
  ASSERT_EQ(kept.size(), 5U);
  EXPECT_EQ(kept[4].data[20], 4);
  pollux_free(nullptr, kept.data(), 5);
  EXPECT_EQ(pollux_poller_run_once(poller, 1000, nullptr, &error), POLLUX_OK);
  pollux_poller_wake(poller);
  ASSERT_EQ(pollux_poller_remove(poller, rx, &error), POLLUX_OK) << error.message;
  pollux_poller_close(poller);
  EXPECT_EQ(ask(nullptr, "pools")[0]["unnamed_drops"], 0);
}

}  // namespace
}  // namespace pollux::c::test
