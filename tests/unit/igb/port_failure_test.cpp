// SPDX-License-Identifier: BSD-3-Clause
// With a card that is removed, hangs or answers wrongly, every call ends with a named error, and no memory is freed
// that the card may still use.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <utility>

#include "pollux/mem/burst.hpp"
#include "pollux/net/register_dump.hpp"
#include "support/lost_on_purpose.hpp"
#include "support/settings_edits.hpp"
#include "unit/igb/fixture.hpp"

namespace pollux::drivers::igb {
namespace {

using testing::HasSubstr;

/// Starts a configured port whose card has a fault, and returns the error.
struct Start {
  explicit Start(IgbFixture& fixture) : port(fixture.open()) {
    EXPECT_TRUE(test::configure_port(*port, fixture.config()));
  }
  Error error() {
    auto started = port->start();
    EXPECT_FALSE(started);
    return started ? Error{} : started.error();
  }
  std::unique_ptr<PortMachine> port;
};

TEST(StartFails, WhenAQueueDoesNotComeUp) {
  for (const std::uint32_t control : {reg::RXDCTL::offset(0), reg::TXDCTL::offset(0)}) {
    IgbFixture fixture;
    Start start(fixture);
    fixture.faults->on_read = answer(control, 0);
    const Error error = start.error();
    EXPECT_EQ(error.code, ErrorCode::timeout);
    EXPECT_THAT(error.what, HasSubstr("XDCTL[0].ENABLE"));
    EXPECT_EQ(start.port->state(), PortState::configured);
    EXPECT_TRUE(fixture.all_mbufs_free());
    EXPECT_FALSE(fixture.faults->bus_master);
    fixture.faults->on_read = nullptr;
    EXPECT_TRUE(start.port->start()) << "the fault has ended";
  }
}

TEST(StartFails, WhenThePhyDoesNotAnswer) {
  IgbFixture fixture;
  Start start(fixture);
  fixture.faults->on_read = answer(reg::MDIC::offset(), 0);
  EXPECT_THAT(start.error().what, HasSubstr("MDIC.READY"));
  EXPECT_TRUE(fixture.all_mbufs_free());
}

TEST(StartFails, WhenThePhyReportsAnError) {
  IgbFixture fixture;
  Start start(fixture);
  fixture.faults->on_read = answer(reg::MDIC::offset(), (reg::MDIC::READY | reg::MDIC::ERROR).bits());
  const Error error = start.error();
  EXPECT_EQ(error.code, ErrorCode::device_fault);
  EXPECT_THAT(error.what, HasSubstr("MDIC.ERROR"));
  EXPECT_EQ(start.port->state(), PortState::configured);
}

TEST(StartFails, WhenThePoolIsInUseElsewhere) {
  IgbFixture fixture({}, {.count = 100});
  Start start(fixture);
  std::vector<MbufPtr> held;
  for (int i = 0; i < 50; ++i) held.push_back(fixture.pool.allocate());
  EXPECT_EQ(start.error().code, ErrorCode::no_memory);
  EXPECT_EQ(start.port->state(), PortState::configured);
  EXPECT_EQ(fixture.pool.stats().in_use(), 50u);
  held.clear();
  EXPECT_TRUE(start.port->start());
}

TEST(StartFails, WhenTheCardWasRemoved) {
  IgbFixture fixture;
  Start start(fixture);
  fixture.faults->removed = true;
  EXPECT_EQ(start.error().code, ErrorCode::device_removed);
  EXPECT_EQ(start.port->state(), PortState::failed);
  EXPECT_TRUE(start.port->close());
  EXPECT_TRUE(fixture.all_mbufs_free());
}

TEST(StartFails, WhenBusMasteringIsRejected) {
  IgbFixture fixture;
  Start start(fixture);
  fixture.faults->bus_master_error = Error{ErrorCode::io_error, "rejected", ""};
  EXPECT_EQ(start.error().code, ErrorCode::io_error);
  // A port that cannot disable bus mastering keeps its memory for ever.
  fixture.faults->bus_master_error.reset();
  EXPECT_TRUE(start.port->close());
  EXPECT_TRUE(fixture.all_mbufs_free());
}

TEST(ARemovedCard, IsAnErrorEverywhereAndNeverAnEndlessWait) {
  IgbFixture fixture;
  auto port = fixture.started();
  ASSERT_NE(port, nullptr);
  fixture.wire->inject(broadcast(64));
  const Stats before = port->stats();
  fixture.faults->removed = true;
  const Duration start = fixture.clock->now();
  EXPECT_EQ(test::set_mtu(*port, 2000).error().code, ErrorCode::device_removed);
  EXPECT_EQ(test::set_promiscuous(*port, true).error().code, ErrorCode::device_removed);
  EXPECT_EQ(test::set_all_multicast(*port, true).error().code, ErrorCode::device_removed);
  EXPECT_EQ(test::set_mac(*port, {2, 0, 0, 0, 0, 1}).error().code, ErrorCode::device_removed);
  EXPECT_FALSE(port->link().up);
  EXPECT_EQ(port->stats().rx_packets, before.rx_packets);
  for (const Counter& counter : port->extended_stats()) EXPECT_LT(counter.value, 0xFFFFFFFFu) << counter.name;
  for (const RegisterValue& value : port->capability<RegisterDump>()->registers())
    EXPECT_EQ(value.value, ~0u) << value.name;
  EXPECT_EQ(port->service().error().code, ErrorCode::device_removed);
  EXPECT_EQ(port->state(), PortState::failed);
  EXPECT_EQ(port->service().error().code, ErrorCode::device_removed);
  EXPECT_EQ(port->stop().error().code, ErrorCode::bad_state);
  EXPECT_EQ(port->start().error().code, ErrorCode::bad_state);
  Burst<8> burst;
  EXPECT_EQ(port->rx_queue(0)->rx_burst(burst), 0u) << "a failed port is idle";
  EXPECT_TRUE(port->close());
  EXPECT_TRUE(fixture.all_mbufs_free());
  EXPECT_LT(fixture.clock->now() - start, std::chrono::seconds(1));
}

TEST(ARemovedCard, FailsTheStop) {
  IgbFixture fixture;
  auto port = fixture.started();
  ASSERT_NE(port, nullptr);
  fixture.faults->removed = true;
  EXPECT_EQ(port->stop().error().code, ErrorCode::device_removed);
  EXPECT_EQ(port->state(), PortState::failed);
  EXPECT_FALSE(fixture.all_mbufs_free()) << "until the device is closed, the card may come back";
  EXPECT_TRUE(port->close());
  EXPECT_TRUE(fixture.all_mbufs_free());
}

TEST(ACardToBeRemoved, IsStoppedAndReleased) {
  IgbFixture fixture;
  auto port = fixture.started();
  ASSERT_NE(port, nullptr);
  fixture.faults->removal_wanted = true;
  const auto served = port->service();
  EXPECT_EQ(served.error().code, ErrorCode::device_removed);
  EXPECT_FALSE(fixture.faults->bus_master) << "the card still works, so it was stopped";
  EXPECT_TRUE(port->close());
  EXPECT_TRUE(fixture.all_mbufs_free());
}

TEST(AnErrorEvent, FailsThePort) {
  IgbFixture fixture;
  auto port = fixture.started();
  ASSERT_NE(port, nullptr);
  const int event = ::eventfd(0, EFD_CLOEXEC);
  fixture.faults->error_event = event;
  EXPECT_TRUE(port->service());
  ASSERT_EQ(::eventfd_write(event, 1), 0);
  EXPECT_EQ(port->service().error().code, ErrorCode::device_fault);
  EXPECT_EQ(port->state(), PortState::failed);
  EXPECT_TRUE(port->close());
  ::close(event);
}

TEST(ACardThatDoesNotStop, IsTakenOffTheBusAndReset) {
  IgbFixture fixture;
  auto port = fixture.started();
  ASSERT_NE(port, nullptr);
  fixture.wire->inject(broadcast(64));
  Burst<4> burst;
  ASSERT_EQ(port->rx_queue(0)->rx_burst(burst), 1u);
  burst = {};
  fixture.with_card([](models::igb::Card& card) {
    card.control().hang_master();
    return 0;
  });
  ASSERT_TRUE(port->stop());
  EXPECT_EQ(port->state(), PortState::configured);
  EXPECT_FALSE(fixture.faults->bus_master);
  EXPECT_EQ(fixture.faults->resets, 2u) << "one at opening, one to end DMA";
  EXPECT_TRUE(fixture.has_logged("GIO_MASTER_ENABLE"));
  EXPECT_TRUE(fixture.all_mbufs_free());
  EXPECT_EQ(port->stats().rx_packets, 1u) << "the reset has cleared the card's counters";
  ASSERT_TRUE(port->start());
  fixture.clock->advance(std::chrono::seconds(1));
  fixture.wire->inject(broadcast(64));
  EXPECT_EQ(port->rx_queue(0)->rx_burst(burst), 1u);
}

// The card may keep mastering after a driver that was killed.
TEST(ACardThatDoesNotStop, IsTakenOffTheBusBeforeItsMacIsReset) {
  IgbFixture fixture;
  auto port = fixture.open();
  ASSERT_NE(port, nullptr);
  ASSERT_TRUE(test::configure_port(*port, fixture.config()));
  fixture.with_card([](models::igb::Card& card) {
    card.control().hang_master();
    return 0;
  });
  ASSERT_TRUE(port->start());
  EXPECT_EQ(fixture.faults->resets, 2u);
  EXPECT_TRUE(fixture.has_logged("taken off the bus"));
}

TEST(ACardThatDoesNotStop, KeepsItsMemoryUntilItIsReset) {
  IgbFixture fixture;
  auto port = fixture.started();
  ASSERT_NE(port, nullptr);
  fixture.faults->on_read = [&](std::uint32_t offset) -> std::optional<std::uint32_t> {
    if (offset != reg::STATUS::offset() || fixture.faults->resets > 1) return std::nullopt;
    return (reg::STATUS::GIO_MASTER_ENABLE | reg::STATUS::LU).bits();
  };
  fixture.faults->reset_error = Error{ErrorCode::timeout, "the reset of the function did not end", ""};
  const auto stopped = port->stop();
  EXPECT_EQ(stopped.error().code, ErrorCode::timeout);
  EXPECT_TRUE(fixture.has_logged("GIO_MASTER_ENABLE"));
  EXPECT_FALSE(fixture.faults->bus_master);
  EXPECT_EQ(port->state(), PortState::failed);
  EXPECT_FALSE(fixture.all_mbufs_free());
  fixture.faults->reset_error.reset();
  EXPECT_EQ(port->service().error().code, ErrorCode::timeout);
  EXPECT_TRUE(port->close());
  EXPECT_EQ(fixture.faults->resets, 2u) << "one at opening, one to end DMA";
  EXPECT_TRUE(fixture.all_mbufs_free());
}

TEST(ACardWhoseQueuesHang, IsStoppedByItsMasterDisable) {
  IgbFixture fixture;
  auto port = fixture.started();
  ASSERT_NE(port, nullptr);
  fixture.faults->on_read = answer(reg::RXDCTL::offset(0), 1u << 25);
  EXPECT_TRUE(port->stop());
  EXPECT_TRUE(fixture.has_logged("RXDCTL.ENABLE"));
  EXPECT_TRUE(fixture.all_mbufs_free());
}

TEST(ACardThatNothingStops, KeepsItsMemoryPermanently) {
  const test::LostOnPurpose memory_of_the_port;
  IgbFixture fixture;
  auto port = fixture.started();
  ASSERT_NE(port, nullptr);
  fixture.faults->on_read = answer(reg::STATUS::offset(), (reg::STATUS::GIO_MASTER_ENABLE | reg::STATUS::LU).bits());
  fixture.faults->reset_error = Error{ErrorCode::io_error, "no", ""};
  EXPECT_FALSE(port->stop());
  const auto closed = port->close();
  ASSERT_FALSE(closed);
  EXPECT_THAT(closed.error().what, HasSubstr("cannot be used again"));
  EXPECT_EQ(port->state(), PortState::closed);
  EXPECT_TRUE(fixture.faults->destroyed);
  EXPECT_FALSE(fixture.all_mbufs_free());
}

TEST(APollerInsideItsBurst, KeepsThePortFromStopping) {
  IgbFixture fixture;
  auto port = fixture.started();
  ASSERT_NE(port, nullptr);
  for (unsigned i = 0; i < 32; ++i) fixture.wire->inject(broadcast(64, i));
  Result<void> stopped;
  bool tried = false;
  fixture.faults->discards = [&](std::uint32_t offset, std::uint32_t) {
    if (offset == reg::RDT::offset(0) && !std::exchange(tried, true)) stopped = port->stop();
    return false;
  };
  Burst<32> burst;
  while (!tried && port->rx_queue(0)->rx_burst(burst, 8) != 0) burst = {};
  ASSERT_TRUE(tried);
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, ErrorCode::timeout);
  EXPECT_EQ(port->state(), PortState::started);
  EXPECT_TRUE(fixture.faults->bus_master) << "the poller's card still works";
  EXPECT_TRUE(port->stop()) << "the burst has ended";
  burst = {};
  EXPECT_TRUE(fixture.all_mbufs_free());
}

TEST(Service, ReturnsItsInterval) {
  IgbFixture fixture;
  auto port = fixture.started();
  ASSERT_NE(port, nullptr);
  const auto interval = port->service();
  ASSERT_TRUE(interval);
  // 2^32 frames of 64 bytes at 1 Gb/s.
  EXPECT_LT(*interval, std::chrono::seconds(2886));
}

TEST(Service, KeepsTheCountsOfACardThatIsRemoved) {
  IgbFixture fixture;
  auto port = fixture.started();
  ASSERT_NE(port, nullptr);
  fixture.wire->inject(broadcast(64));
  ASSERT_TRUE(port->service());
  fixture.faults->removed = true;
  EXPECT_EQ(port->stats().rx_packets, 1u);
}

}  // namespace
}  // namespace pollux::drivers::igb
