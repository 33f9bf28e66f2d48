// SPDX-License-Identifier: BSD-3-Clause
// The driver of virtual functions on a virtual function of the in-process card.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <chrono>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "backends/sim/device.hpp"
#include "models/intel/igb/card.hpp"
#include "pollux/pollux.hpp"
#include "support/fixture.hpp"
#include "unit/igbvf/physical_side.hpp"

namespace pollux::drivers::igbvf {
namespace {

/// sim:0's physical function is the test's, its virtual function 0 has a port, and sim:1 has one.
class FunctionOfCard : public testing::Test {
 protected:
  void SetUp() override {
    auto partner_opened = open(context, "sim:1", config());
    ASSERT_TRUE(partner_opened) << partner_opened.error().message();
    partner.emplace(*std::move(partner_opened));
    auto device = open_device(context, "sim:0");
    ASSERT_TRUE(device) << device.error().message();
    dynamic_cast<sim::SimDevice&>(**device).wire().with_card(
        0, [](DeviceModel& card) { static_cast<models::igb::Card&>(card).phy().restore_defaults(); });
    physical = std::make_unique<PhysicalSide>(*std::move(device), clock);
    auto opened = open(context, "sim:0.vf0", config());
    ASSERT_TRUE(opened) << opened.error().message();
    function.emplace(*std::move(opened));
  }
  [[nodiscard]] static Settings config() { return {.rx = {{.ring = 64}}, .tx = {{.ring = 64}}}; }

  /// Sends a frame from one port, and returns what the other one has received a millisecond later.
  [[nodiscard]] test::Frame send(Port& from, Port& to, const test::Frame& frame) {
    MbufPtr mbuf = pool->allocate();
    std::memcpy(mbuf->append(static_cast<std::uint32_t>(frame.size())), frame.data(), frame.size());
    Burst<1> burst;
    EXPECT_TRUE(burst.push(mbuf));
    EXPECT_EQ(from.tx(0).tx_burst(burst), 1u);
    clock->advance(std::chrono::milliseconds(1));
    Burst<8> received;
    to.rx(0).rx_burst(received);
    return received.size() == 1 ? test::content(*received.begin()) : test::Frame();
  }
  [[nodiscard]] static test::Frame frame_to(const MacAddress& mac, unsigned seed, std::size_t bytes = 100) {
    test::Frame frame = test::counting_frame(bytes, seed);
    std::memcpy(frame.data(), mac.data(), mac.size());
    return frame;
  }

  std::shared_ptr<ManualClock> clock = std::make_shared<ManualClock>();
  Context context{{.clock = clock}};
  Result<Mempool> pool = Mempool::create(context, {.count = 256});
  std::unique_ptr<PhysicalSide> physical;  // works while the clock advances, so it outlives the ports
  std::optional<Port> partner;
  std::optional<Port> function;
};

TEST_F(FunctionOfCard, GetsItsAddressAndTheLinkOfTheCard) {
  EXPECT_EQ(function->info().driver, "igbvf");
  EXPECT_EQ(function->mac(), PhysicalSide::kAssigned);
  EXPECT_EQ(to_string(function->link()), "up, 1000 Mb/s, full duplex");
  ASSERT_FALSE(physical->requests.empty());
  EXPECT_EQ(physical->requests.front(), hw::igbvf::Message::reset);
}

TEST_F(FunctionOfCard, ExchangesFramesWithTheOtherEndOfTheWire) {
  for (unsigned i = 0; i < 100; ++i) {
    const test::Frame out = frame_to(partner->mac(), i);
    EXPECT_EQ(send(*function, *partner, out), out) << i;
    const test::Frame in = frame_to(PhysicalSide::kAssigned, i, 60 + i * 10);
    EXPECT_EQ(send(*partner, *function, in), in) << i;
  }
  EXPECT_EQ(function->stats().rx_packets, 100u);
  EXPECT_EQ(function->stats().tx_packets, 100u);
  EXPECT_TRUE(send(*partner, *function, frame_to(PhysicalSide::kOwn, 1)).empty()) << "not the function's";
}

TEST_F(FunctionOfCard, StopsAndStartsAgain) {
  for (unsigned i = 0; i < 3; ++i) {
    ASSERT_TRUE(function->stop());
    EXPECT_TRUE(send(*partner, *partner, frame_to(PhysicalSide::kAssigned, i)).empty());
    const auto started = function->start();
    ASSERT_TRUE(started) << started.error().message();
    const test::Frame in = frame_to(PhysicalSide::kAssigned, i);
    EXPECT_EQ(send(*partner, *function, in), in);
  }
}

TEST_F(FunctionOfCard, WakesAThreadByItsOwnVector) {
  // The mode is the physical function's to set: Linux, igb_main.c, igb_configure_msix.
  physical->registers().write<hw::igb::GPIE>(hw::igb::GPIE::MSIX_MODE | hw::igb::GPIE::EIAME);
  RxQueue& queue = function->rx(0);
  EXPECT_FALSE(queue.arm()) << "the start is reported once";
  pollfd waiting{queue.event_fd(), POLLIN, 0};
  for (unsigned i = 0; i < 3; ++i) {
    ASSERT_TRUE(queue.arm());
    EXPECT_EQ(physical->registers().read<hw::igb::EIMS>().raw(), 3U << 22) << "vector 1 of function 0, and its mailbox";
    EXPECT_EQ(::poll(&waiting, 1, 0), 0);
    const test::Frame in = frame_to(PhysicalSide::kAssigned, i);
    EXPECT_EQ(send(*partner, *function, in), in);
    EXPECT_EQ(::poll(&waiting, 1, 0), 1);
    EXPECT_EQ(physical->registers().read<hw::igb::EIMS>().raw(), 1U << 22) << "the message masked it";
    queue.disarm();
    EXPECT_EQ(::poll(&waiting, 1, 0), 0);
  }
}

/// The function's events, and the descriptor on which a program waits for them.
class FunctionEvents : public FunctionOfCard {
 protected:
  void SetUp() override {
    FunctionOfCard::SetUp();
    physical->registers().write<hw::igb::GPIE>(hw::igb::GPIE::MSIX_MODE | hw::igb::GPIE::EIAME);
    function->on_event([this](const PortEvent& event) { seen_.push_back(to_string(event)); });
    event_ = context.control().event_fd();
    ASSERT_GE(event_, 0);
    clock->advance(std::chrono::seconds(1));
    run_control();
    EXPECT_THAT(seen(), testing::ElementsAre("link up, 1000 Mb/s, full duplex"));
    EXPECT_FALSE(is_signalled());
  }
  [[nodiscard]] bool is_signalled() const {
    pollfd look{.fd = event_, .events = POLLIN, .revents = 0};
    return ::poll(&look, 1, 0) == 1;
  }
  void run_control() {
    const auto due = context.control().run_due();
    EXPECT_TRUE(due) << due.error().message();
  }
  [[nodiscard]] std::vector<std::string> seen() { return std::exchange(seen_, {}); }
  static constexpr std::uint32_t kPing = static_cast<std::uint32_t>(hw::igbvf::Message::control);

 private:
  std::vector<std::string> seen_;
  int event_ = -1;
};

// As Linux's igb does when its link changes.
TEST_F(FunctionEvents, AChangeOfTheLinkIsNoticedWithTheMessageAboutIt) {
  for (int round = 0; round < 3; ++round) {
    for (const bool up : {false, true}) {
      physical->registers().write<hw::igb::CTRL>(
          up ? physical->registers().read<hw::igb::CTRL>().with(hw::igb::CTRL::SLU)
             : physical->registers().read<hw::igb::CTRL>().without(hw::igb::CTRL::SLU));
      EXPECT_FALSE(is_signalled()) << "the link itself does not interrupt a function";
      physical->send(kPing | hw::igbvf::kClearToSend);
      EXPECT_TRUE(is_signalled());
      run_control();
      EXPECT_THAT(seen(), testing::ElementsAre(up ? "link up, 1000 Mb/s, full duplex" : "link down"));
      EXPECT_FALSE(is_signalled());
    }
  }
  EXPECT_EQ(function->state(), PortState::started);
}

TEST_F(FunctionEvents, AResetOfThePhysicalFunctionIsNoticedAtOnce) {
  physical->send(kPing);
  EXPECT_TRUE(is_signalled());
  EXPECT_FALSE(context.control().run_due());
  EXPECT_EQ(function->state(), PortState::failed);
  EXPECT_FALSE(is_signalled());
}

TEST_F(FunctionEvents, TheInterruptIsBackAfterAStopAndAStart) {
  for (int round = 0; round < 2; ++round) {
    ASSERT_TRUE(function->stop());
    ASSERT_TRUE(function->start());
    run_control();
    static_cast<void>(seen());
    EXPECT_FALSE(is_signalled());
    physical->send(kPing | hw::igbvf::kClearToSend);
    EXPECT_TRUE(is_signalled());
    run_control();
  }
}

// Its interrupts are the queue's.
TEST_F(FunctionEvents, TrafficIsNone) {
  while (!function->rx(0).arm()) {
  }
  const test::Frame in = frame_to(PhysicalSide::kAssigned, 1);
  EXPECT_EQ(send(*partner, *function, in), in);
  EXPECT_FALSE(is_signalled());
}

TEST_F(FunctionOfCard, FailsWhenThePhysicalFunctionIsReset) {
  physical->registers().write<hw::igb::CTRL>(hw::igb::CTRL::RST);
  clock->advance(std::chrono::seconds(3));
  const auto served = context.control().run_due();
  ASSERT_FALSE(served);
  EXPECT_THAT(served.error().what, testing::HasSubstr("the physical function was reset"));
  EXPECT_EQ(function->state(), PortState::failed);
}

}  // namespace
}  // namespace pollux::drivers::igbvf
