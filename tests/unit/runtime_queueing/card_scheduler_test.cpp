// SPDX-License-Identifier: BSD-3-Clause
// A scheduler over the in-process card's transmit ring, whose wire has a rate, and whose link partner may send pause
// frames.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <memory>

#include "pollux/pollux.hpp"
#include "support/settings_edits.hpp"

namespace pollux::test {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

class CardScheduler : public testing::Test {
 protected:
  static constexpr std::uint32_t kRing = 512;
  static constexpr std::uint32_t kBytes = 1'000;
  /// The wire's, of such frames; with FCS, preamble and gap they have 1,024 bytes.
  static constexpr std::uint64_t kFramesPerSecond = 1'000'000'000 / 8 / 1'024;

  [[nodiscard]] Port open_port(const char* uri, PauseModes pause = {}) {
    auto port = open_unconfigured(context_, uri).value();
    EXPECT_TRUE(port.change([&](Settings& settings) { settings.flow_control = {.pause = pause}; }));
    EXPECT_TRUE(configure_port(port, {.rx = {{.pool = pool_, .ring = kRing}}, .tx = {{.ring = kRing}}}));
    EXPECT_TRUE(port.start());
    return port;
  }
  [[nodiscard]] std::unique_ptr<TxScheduler> scheduler_of(Port& port, bool byte_limits, std::uint32_t stop = 0) {
    TxSchedulerOptions options;
    options.queue = make_fifo({.frames = 4'000}).value();
    if (!byte_limits) options.byte_limits.reset();
    options.stop = stop;
    options.wake = stop / 2;
    options.on_wake = [this] { ++wakes_; };
    return TxScheduler::create(port.tx(0), std::move(options)).value();
  }
  void enqueue(TxScheduler& scheduler, std::uint32_t frames, std::uint32_t bytes = kBytes) {
    Burst<32> burst;
    for (std::uint32_t i = 0; i < frames; ++i) {
      MbufPtr mbuf = pool_.allocate();
      ASSERT_NE(mbuf, nullptr);
      ASSERT_NE(mbuf->append(bytes), nullptr);
      std::fill_n(mbuf->data(), 14, std::uint8_t{0xFF});
      ASSERT_TRUE(burst.push(mbuf));
    }
    scheduler.enqueue(burst, clock_->now());
  }
  static std::uint32_t poll(Port& port) {
    std::uint32_t count = 0;
    Burst<32> burst;
    while (port.rx(0).rx_burst(burst) != 0) {
      count += burst.size();
      burst = {};
    }
    return count;
  }

  std::shared_ptr<ManualClock> clock_ = std::make_shared<ManualClock>();
  Context context_{{.clock = clock_, .huge_pages = HugePages::never, .arena_size = std::size_t{1} << 30}};
  Mempool pool_ = Mempool::create(context_, {.count = 8'192}).value();
  std::uint32_t wakes_ = 0;
};

TEST_F(CardScheduler, ByteLimitsKeepTheCardsRingShortAndTheWireBusy) {
  for (const bool limited : {false, true}) {
    SCOPED_TRACE(limited);
    Port from = open_port("sim:0?rate=1G");
    Port to = open_port("sim:1");
    ASSERT_TRUE(from.wait_for_link(seconds(5)));
    ASSERT_TRUE(to.wait_for_link(seconds(5)));
    const auto scheduler = scheduler_of(from, limited);
    std::uint32_t longest = 0;
    std::uint64_t received = 0;
    // The program looks every 20 us, in which the wire carries 2.4 frames; it always has some.
    for (int round = 0; round < 10'000; ++round) {
      if (scheduler->waiting() < 64) enqueue(*scheduler, 32);
      scheduler->run(clock_->now());
      clock_->advance(microseconds(20));
      received += poll(to);
      if (round > 5'000) longest = std::max(longest, from.tx(0).in_flight());
    }
    EXPECT_GT(received, kFramesPerSecond / 5 * 98 / 100) << "of 200 ms; the limit first has to be found";
    RecordProperty(limited ? "longest_limited" : "longest", static_cast<int>(longest));
    if (limited) {
      EXPECT_LE(longest, kRing / 4);
      EXPECT_GT(scheduler->stats().limited, 1'000U);
    } else {
      EXPECT_GT(longest, kRing - 8);
      EXPECT_GT(scheduler->stats().ring_full, 1'000U);
    }
    EXPECT_EQ(scheduler->stats().enqueued,
              scheduler->stats().sent + scheduler->queue().dropped() + scheduler->waiting());
  }
}

TEST_F(CardScheduler, PauseFramesOfTheLinkPartnerStopTheProgramWithoutALoss) {
  constexpr std::uint32_t kFrames = 3'000;
  Port from = open_port("sim:0?rate=1G", {.receive = true});
  Port to = open_port("sim:1", {.transmit = true});
  ASSERT_TRUE(from.wait_for_link(seconds(5)));
  ASSERT_TRUE(to.wait_for_link(seconds(5)));
  const auto scheduler = scheduler_of(from, true, 200);
  std::uint32_t given = 0;
  std::uint64_t received = 0;
  for (int round = 0; round < 100'000 && received < kFrames; ++round) {
    while (given < kFrames && !scheduler->is_stopped()) {
      // The wire holds up to 64 frames that were sent before a pause frame arrived. They must fit above the high mark.
      enqueue(*scheduler, 30, 200);
      given += 30;
    }
    EXPECT_LE(scheduler->waiting(), 230U);
    scheduler->run(clock_->now());
    clock_->advance(microseconds(20));
    if (round % 512 == 511) received += poll(to);
  }
  EXPECT_EQ(received, kFrames);
  EXPECT_EQ(to.stats().rx_missed_errors, 0U);
  std::uint64_t pauses = 0;
  for (const Counter& counter : to.extended_stats()) pauses += counter.name == "XOFFTXC" ? counter.value : 0;
  EXPECT_GT(pauses, 0U);
  EXPECT_GT(wakes_, 2U);
  EXPECT_EQ(scheduler->queue().dropped(), 0U);
}

}  // namespace
}  // namespace pollux::test
