// SPDX-License-Identifier: BSD-3-Clause
// Sleeping on the receive queues of an 82576: vectors, masks, and queues that share a vector. The conformance suite
// tests what every port has to do.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <array>
#include <optional>
#include <vector>

#include "pollux/mem/burst.hpp"
#include "pollux/net/interrupts.hpp"
#include "unit/igb/fixture.hpp"

namespace pollux::drivers::igb {
namespace {

using std::chrono::milliseconds;

bool has_event(const RxQueue& queue) {
  pollfd waiting{queue.event_fd(), POLLIN, 0};
  return ::poll(&waiting, 1, 0) == 1;
}

/// A port of `queues` receive queues on a card with `vectors` MSI-X vectors.
class SleepOnACard : public testing::Test {
 protected:
  void start(std::uint16_t queues, unsigned vectors = 25) {
    fixture.emplace(models::igb::CardOptions{.vectors = vectors}, MempoolOptions{.count = 4096});
    open();
    PortConfig config = fixture->config();
    config.rx_queues = queues;
    ASSERT_TRUE(port->configure(config));
    ASSERT_TRUE(port->start());
    fixture->clock->advance(std::chrono::seconds(1));
    for (std::uint16_t queue = 0; queue < queues; ++queue) {
      EXPECT_FALSE(rx(queue).arm()) << "the start is reported once";
    }
  }
  void open() {
    auto opened = probe(fixture->context, fixture->device());
    ASSERT_TRUE(opened) << opened.error().message();
    driver = opened->get();
    port = std::make_unique<PortMachine>(fixture->context.state(), *std::move(opened));
  }
  RxQueue& rx(std::uint16_t queue) { return *port->rx_queue(queue); }
  std::uint32_t poll(std::uint16_t queue) {
    Burst<32> burst;
    return rx(queue).rx_burst(burst);
  }
  /// A frame that RSS assigns to `queue`.
  void inject_to(std::uint16_t queue) {
    std::vector<std::byte> frame = broadcast(64);
    const std::array<std::uint8_t, 22> header{0x08, 0x00, 0x45, 0,  0, 50, 0, 0,  0, 0, 64,
                                              17,   0,    0,    10, 0, 0,  1, 10, 0, 0, 2};
    for (std::size_t i = 0; i < header.size(); ++i) frame[12 + i] = std::byte{header[i]};
    fixture->with_card([&](models::igb::Card& card) {
      for (std::uint32_t i = 0; i < 32; ++i) card.registers().set<reg::RETA>(i, reg::RETA::Value(queue * 0x01010101U));
    });
    fixture->wire->inject(frame);
  }
  [[nodiscard]] std::uint32_t unmasked() { return fixture->value<reg::EIMS>().raw(); }
  /// Vector 0, which is for the link, stays unmasked.
  [[nodiscard]] std::uint32_t unmasked_queues() { return unmasked() & ~1U; }
  /// Since the start, in which the link sent one.
  [[nodiscard]] std::uint32_t messages() { return fixture->value<reg::IAC>().raw() - 1; }

  std::optional<IgbFixture> fixture;
  std::unique_ptr<PortMachine> port;
  PortDriver* driver = nullptr;  // of the port
};

TEST_F(SleepOnACard, OnlyAnArmedQueueGetsMessagesAndEachMasksItsVector) {
  start(1);
  for (int i = 0; i < 3; ++i) inject_to(0);
  EXPECT_EQ(poll(0), 3U);
  EXPECT_EQ(messages(), 0U);
  EXPECT_EQ(unmasked_queues(), 0U);
  // The card remembers the cause of the masked vector, so the first message comes at once.
  ASSERT_TRUE(rx(0).arm());
  EXPECT_TRUE(has_event(rx(0)));
  EXPECT_EQ(messages(), 1U);
  ASSERT_TRUE(rx(0).arm());
  EXPECT_FALSE(has_event(rx(0)));
  EXPECT_EQ(unmasked_queues(), 2U);
  for (int i = 0; i < 3; ++i) inject_to(0);
  EXPECT_TRUE(has_event(rx(0)));
  EXPECT_EQ(messages(), 2U) << "one for three frames";
  EXPECT_EQ(unmasked_queues(), 0U);
  EXPECT_FALSE(rx(0).arm());
  EXPECT_FALSE(has_event(rx(0)));
}

TEST_F(SleepOnACard, BurstsAccessNoInterruptRegisterAlsoWhileArmed) {
  start(1);
  ASSERT_TRUE(rx(0).arm());
  fixture->faults->writes.clear();
  for (int i = 0; i < 200; ++i) {
    inject_to(0);
    EXPECT_EQ(poll(0), 1U);
  }
  for (const auto& [offset, value] : fixture->faults->writes) EXPECT_EQ(offset, reg::RDT::offset(0));
  EXPECT_EQ(messages(), 1U);
}

TEST_F(SleepOnACard, DisarmingMasksTheVectorOfItsLastArmedQueue) {
  start(2, 2);  // one vector for both queues
  ASSERT_TRUE(rx(0).arm());
  ASSERT_TRUE(rx(1).arm());
  EXPECT_EQ(unmasked_queues(), 2U);
  rx(0).disarm();
  EXPECT_EQ(unmasked_queues(), 2U) << "the other queue still waits";
  rx(0).disarm();
  EXPECT_EQ(unmasked_queues(), 2U);
  rx(1).disarm();
  EXPECT_EQ(unmasked_queues(), 0U);
  inject_to(1);
  EXPECT_FALSE(has_event(rx(1)));
}

TEST_F(SleepOnACard, QueuesShareVectorsInTurnIfThereAreFewer) {
  start(4, 4);
  for (std::uint32_t queue = 0; queue < 4; ++queue) {
    const auto vectors = fixture->value<reg::IVAR>(queue);
    EXPECT_TRUE(vectors.has(reg::IVAR::RX_LOW_VALID));
    EXPECT_FALSE(vectors.has_any(reg::IVAR::RX_HIGH_VALID | reg::IVAR::TX_LOW_VALID | reg::IVAR::TX_HIGH_VALID));
    EXPECT_EQ(vectors.get(reg::IVAR::RX_LOW), 1 + queue % 3);
  }
}

TEST_F(SleepOnACard, SixteenQueuesHaveAVectorEach) {
  start(16);
  for (std::uint16_t queue = 0; queue < 16; ++queue) {
    ASSERT_TRUE(rx(queue).arm());
    EXPECT_EQ(unmasked_queues(), 2U << queue);
    inject_to(queue);
    EXPECT_TRUE(has_event(rx(queue)));
    EXPECT_EQ(unmasked_queues(), 0U);
  }
}

TEST_F(SleepOnACard, ClearingTheEventOfOneQueueTakesNoEventFromAnother) {
  start(2, 2);
  ASSERT_TRUE(rx(0).arm());
  ASSERT_TRUE(rx(1).arm());
  inject_to(1);
  EXPECT_TRUE(has_event(rx(1)));
  EXPECT_TRUE(has_event(rx(0))) << "the message masked the vector, so queue 0 has to arm itself again";
  ASSERT_TRUE(rx(0).arm());
  EXPECT_FALSE(has_event(rx(0)));
  EXPECT_TRUE(has_event(rx(1))) << "its event is still unread";
  rx(0).disarm();
  EXPECT_TRUE(has_event(rx(1)));
  EXPECT_FALSE(rx(1).arm());
  EXPECT_EQ(poll(1), 1U);
}

TEST_F(SleepOnACard, WakesInVirtualTimeWhenAFrameArrives) {
  start(1);
  ASSERT_TRUE(rx(0).arm());
  const Time start = fixture->clock->now();
  fixture->clock->follow([&, done = false](Duration now) mutable {
    if (!done && now >= start + milliseconds(3)) inject_to(0);
    done = done || now >= start + milliseconds(3);
  });
  std::array waiting{pollfd{rx(0).event_fd(), POLLIN, 0}};
  EXPECT_EQ(fixture->clock->wait(waiting, start + milliseconds(500)).value_or(9), 1U);
  EXPECT_EQ(fixture->clock->now() - start, milliseconds(3));
  rx(0).disarm();
  EXPECT_EQ(poll(0), 1U);
}

TEST_F(SleepOnACard, WithoutVectorsThereIsNoDescriptor) {
  start(1, 0);
  EXPECT_EQ(rx(0).event_fd(), -1);
  EXPECT_FALSE(rx(0).arm());
  rx(0).disarm();
  inject_to(0);
  EXPECT_EQ(poll(0), 1U);
}

TEST_F(SleepOnACard, OneVectorServesAllQueues) {
  start(2, 1);
  ASSERT_TRUE(rx(1).arm());
  EXPECT_EQ(unmasked(), 1U);
  inject_to(1);
  EXPECT_TRUE(has_event(rx(1)));
}

TEST_F(SleepOnACard, IsPolledIfTheVectorsCannotBeEnabled) {
  fixture.emplace();
  fixture->faults->interrupt_error = Error{ErrorCode::io_error, "no eventfd", "raise ulimit -n"};
  port = fixture->started();
  EXPECT_TRUE(fixture->has_logged("no eventfd"));
  EXPECT_GE(rx(0).event_fd(), 0);
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(rx(0).arm());
  inject_to(0);
  EXPECT_EQ(poll(0), 1U);
  // The next start tries again.
  ASSERT_TRUE(port->stop());
  fixture->faults->interrupt_error.reset();
  ASSERT_TRUE(port->start());
  EXPECT_FALSE(rx(0).arm());
  EXPECT_TRUE(rx(0).arm());
}

TEST_F(SleepOnACard, ARestartedQueueWakesItsThread) {
  start(2);
  ASSERT_TRUE(rx(1).arm());
  EXPECT_FALSE(has_event(rx(1)));
  ASSERT_TRUE(port->restart_rx(1, {.pool = &fixture->pool, .ring = 128}));
  EXPECT_TRUE(has_event(rx(1)));
  EXPECT_FALSE(rx(1).arm());
  ASSERT_TRUE(rx(1).arm());
  inject_to(1);
  EXPECT_TRUE(has_event(rx(1)));
}

TEST_F(SleepOnACard, AQueueOfAForwardPathIsNeverArmed) {
  fixture.emplace();
  port = fixture->open();
  ASSERT_TRUE(port->configure(fixture->config()));
  auto path = port->forward_path(0, *port, 0);
  ASSERT_TRUE(path);
  ASSERT_TRUE(port->start());
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(rx(0).arm());
}

TEST_F(SleepOnACard, ARemovedCardWakesItsThreadWhenItsServiceNotices) {
  start(1);
  ASSERT_TRUE(rx(0).arm());
  fixture->faults->removed = true;
  EXPECT_FALSE(port->service());
  EXPECT_TRUE(has_event(rx(0)));
}

using std::chrono::microseconds;

class Moderation : public SleepOnACard {
 protected:
  Interrupts& interrupts() { return *driver->capability<Interrupts>(); }
  [[nodiscard]] std::uint32_t interval(std::uint32_t vector) {
    return fixture->value<reg::EITR>(vector).get(reg::EITR::INTERVAL);
  }
};

TEST_F(Moderation, ASecondMessageWaitsForTheInterval) {
  start(1);
  ASSERT_TRUE(interrupts().set_moderation(0, {.interval = microseconds(100)}));
  EXPECT_EQ(interval(1), 100U);
  ASSERT_TRUE(rx(0).arm());
  inject_to(0);
  EXPECT_TRUE(has_event(rx(0))) << "the first frame after a pause is not delayed";
  EXPECT_EQ(poll(0), 1U);
  ASSERT_TRUE(rx(0).arm());
  inject_to(0);
  fixture->clock->advance(microseconds(90));
  EXPECT_FALSE(has_event(rx(0)));
  fixture->clock->advance(microseconds(20));
  EXPECT_TRUE(has_event(rx(0)));
}

TEST_F(Moderation, AdaptsToTheFramesBetweenTwoSleeps) {
  start(1);
  ASSERT_TRUE(interrupts().set_moderation(0, {.interval = microseconds(400), .adaptive = true}));
  EXPECT_EQ(interval(1), 0U);
  for (const auto& [frames, expected] : {std::pair{4U, 0U}, {5U, 100U}, {31U, 100U}, {32U, 400U}, {1U, 0U}}) {
    for (unsigned i = 0; i < frames; ++i) {
      inject_to(0);
      EXPECT_EQ(poll(0), 1U);
    }
    ASSERT_TRUE(rx(0).arm());
    EXPECT_EQ(interval(1), expected) << frames << " frames";
    rx(0).disarm();
  }
}

TEST_F(Moderation, StaysInForceAndCountsForAllQueuesOfAVector) {
  start(2, 2);
  ASSERT_TRUE(interrupts().set_moderation(1, {.interval = microseconds(7)}));
  EXPECT_EQ(interrupts().moderation(0).value(), interrupts().moderation(1).value());
  ASSERT_TRUE(port->stop());
  ASSERT_TRUE(port->start());
  EXPECT_EQ(interval(1), 7U);
  ASSERT_TRUE(interrupts().set_moderation(0, {}));
  EXPECT_EQ(interval(1), 0U);
}

TEST_F(Moderation, ReportsTheVectorOfEachQueue) {
  start(4, 4);
  EXPECT_EQ(interrupts().rx_vectors().value(), (std::vector<unsigned>{1, 2, 3, 1}));
  port.reset();
  fixture.emplace();
  open();
  const auto none = interrupts().rx_vectors();
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, ErrorCode::bad_state);
}

TEST_F(Moderation, RejectsWhatTheCardCannotDoAndChangesNothing) {
  start(1);
  ASSERT_TRUE(interrupts().set_moderation(0, {.interval = microseconds(8191)}));
  for (const Duration wrong : {Duration(microseconds(8192)), Duration(-1000), Duration(1500)}) {
    const auto refused = interrupts().set_moderation(0, {.interval = wrong});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
    EXPECT_THAT(refused.error().message(), testing::HasSubstr("from 0 to 8191"));
  }
  EXPECT_EQ(interrupts().set_moderation(16, {}).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(interval(1), 8191U);
  EXPECT_EQ(interrupts().moderation(0)->interval, microseconds(8191));
}

TEST_F(Moderation, ADeviceWithoutMsixIsNamedWithItsFix) {
  start(1, 0);
  const auto refused = interrupts().rx_vectors();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::not_supported);
  EXPECT_THAT(refused.error().message(), testing::HasSubstr("sim:0: the device has no MSI-X vectors"));
  EXPECT_THAT(refused.error().hint, testing::HasSubstr("poll the port's queues"));
  EXPECT_EQ(interrupts().set_moderation(0, {}).error().code, ErrorCode::not_supported);
}

}  // namespace
}  // namespace pollux::drivers::igb
