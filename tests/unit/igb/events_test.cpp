// SPDX-License-Identifier: BSD-3-Clause
// Events of an 82576's port: changes of the link arrive by the interrupt of vector 0, and without one by the service.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "hw/intel/igb/registers.hpp"
#include "support/fixture.hpp"

namespace pollux {
namespace {

using namespace std::chrono_literals;
using test::CardFixture;
using testing::ElementsAre;
using testing::IsEmpty;
namespace hw_igb = hw::igb;

class CardEvents : public testing::Test {
 protected:
  void start(unsigned vectors) {
    lab.emplace(test::CardFixtureOptions{.card = {.vectors = vectors}});
    lab->port.on_event([this](const PortEvent& event) { seen_.push_back(to_string(event)); });
    event_ = lab->context.control().event_fd();
    ASSERT_GE(event_, 0);
    // What the start has left.
    lab->clock->advance(1s);
    run_control();
    EXPECT_THAT(seen(), ElementsAre("link up, 1000 Mb/s, full duplex"));
    EXPECT_FALSE(is_signalled());
  }
  [[nodiscard]] bool is_signalled() const {
    pollfd look{.fd = event_, .events = POLLIN, .revents = 0};
    return ::poll(&look, 1, 0) == 1;
  }
  void run_control() {
    const auto due = lab->context.control().run_due();
    EXPECT_TRUE(due) << due.error().message();
  }
  std::vector<std::string> seen() { return std::exchange(seen_, {}); }
  [[nodiscard]] std::uint32_t unmasked() { return lab->card.value<hw_igb::EIMS>().raw(); }

  std::vector<std::string> seen_;
  int event_ = -1;
  std::optional<CardFixture> lab;
};

TEST_F(CardEvents, AChangeOfTheLinkInterrupts) {
  start(25);
  const auto vectors = lab->card.value<hw_igb::IVAR_MISC>();
  EXPECT_TRUE(vectors.has(hw_igb::IVAR_MISC::OTHER_VALID));
  EXPECT_EQ(vectors.get(hw_igb::IVAR_MISC::OTHER), 0U);
  EXPECT_FALSE(vectors.has(hw_igb::IVAR_MISC::TCP_TIMER_VALID)) << "I-IVARMISC";
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(unmasked(), 1U);
    lab->wire->set_carrier(false);
    EXPECT_TRUE(is_signalled());
    EXPECT_EQ(unmasked(), 1U) << "a message masks only vectors of queues";
    run_control();
    EXPECT_FALSE(is_signalled());
    EXPECT_THAT(seen(), ElementsAre("link down"));
    lab->wire->set_carrier(true);
    EXPECT_FALSE(is_signalled()) << "the PHY negotiates";
    lab->clock->advance(lab->context.control().run_due().value() - lab->clock->now() - 1ns);
    EXPECT_TRUE(is_signalled()) << "before the next service is due";
    run_control();
    EXPECT_THAT(seen(), ElementsAre("link up, 1000 Mb/s, full duplex"));
  }
}

TEST_F(CardEvents, TrafficAndItsInterruptsAreNone) {
  start(25);
  RxQueue& queue = lab->port.rx(0);
  while (!queue.arm()) static_cast<void>(lab->receive_all());
  lab->inject(test::counting_frame(64));
  EXPECT_TRUE(lab->transmit(test::counting_frame(64)));
  EXPECT_EQ(lab->receive_all().size(), 1U);
  EXPECT_FALSE(is_signalled());
  EXPECT_EQ(unmasked(), 1U);
}

TEST_F(CardEvents, TheInterruptIsBackAfterAStopAndAStart) {
  start(25);
  for (int round = 0; round < 2; ++round) {
    ASSERT_TRUE(lab->port.stop());
    EXPECT_THAT(seen(), ElementsAre("link down"));
    ASSERT_TRUE(lab->port.start());
    ASSERT_TRUE(lab->port.wait_for_link(5s));
    EXPECT_TRUE(is_signalled());
    run_control();
    EXPECT_THAT(seen(), ElementsAre("link up, 1000 Mb/s, full duplex"));
    EXPECT_FALSE(is_signalled());
  }
  lab->wire->set_carrier(false);
  EXPECT_TRUE(is_signalled());
}

TEST_F(CardEvents, WithoutAVectorTheServiceNotices) {
  for (const unsigned vectors : {0U, 1U}) {
    start(vectors);
    lab->wire->set_carrier(false);
    EXPECT_FALSE(is_signalled());
    lab->clock->advance(1s);
    EXPECT_TRUE(is_signalled());
    run_control();
    EXPECT_THAT(seen(), ElementsAre("link down"));
    EXPECT_EQ(lab->card.value<hw_igb::IMS>().raw(), 0U);
    lab.reset();
  }
}

TEST_F(CardEvents, ARemovedCardIsReported) {
  start(25);
  lab->card.set_removed(true);
  lab->clock->advance(1s);
  EXPECT_FALSE(lab->context.control().run_due());
  const auto events = seen();
  ASSERT_EQ(events.size(), 1U);
  EXPECT_THAT(events.front(), testing::HasSubstr("removed: sim:lab"));
  EXPECT_FALSE(is_signalled());
}

}  // namespace
}  // namespace pollux
