// SPDX-License-Identifier: BSD-3-Clause
// Time stamps of frames: which frames get one, what identifies them, and stamps that nobody reads.
#include "pollux/net/frame_stamps.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <initializer_list>

#include "pollux/net/flow/match.hpp"
#include "pollux/net/port_clock.hpp"
#include "pollux/net/rx_metadata.hpp"
#include "pollux/open.hpp"
#include "support/fixture.hpp"
#include "support/settings_edits.hpp"

namespace pollux::test {
namespace {

namespace reg = hw::igb;
using namespace std::chrono_literals;

constexpr unsigned kSync = 0, kDelayRequest = 1, kAnnounce = 11;

class FrameStampsTest : public testing::Test {
 protected:
  [[nodiscard]] Result<void> use(StampedMessages receive, bool transmit = true) {
    return fixture_.port.change(
        [&](Settings& settings) { settings.stamps = {.receive = receive, .transmit = transmit}; });
  }
  [[nodiscard]] std::optional<RxFrameStamp> rx_stamp() {
    const auto stamp = fixture_.port.capability<FrameStamps>()->take_rx_stamp();
    EXPECT_TRUE(stamp) << stamp.error().message();
    return stamp ? *stamp : std::nullopt;
  }
  [[nodiscard]] std::optional<Time> tx_stamp() {
    const auto stamp = fixture_.port.capability<FrameStamps>()->take_tx_stamp();
    EXPECT_TRUE(stamp) << stamp.error().message();
    return stamp ? *stamp : std::nullopt;
  }
  [[nodiscard]] Time now() { return fixture_.port.capability<PortClock>()->time().value(); }
  [[nodiscard]] std::uint64_t counter(std::string_view name) { return fixture_.counter(name); }
  static void put(Frame& frame, std::size_t at, std::initializer_list<unsigned> bytes) {
    for (const unsigned byte : bytes) frame[at++] = static_cast<std::byte>(byte);
  }
  static void put_message(Frame& frame, std::size_t at, unsigned type, unsigned version) {
    put(frame, at, {type, version});
    put(frame, at + 22, {1, 2, 3, 4, 5, 6});
    put(frame, at + 30, {0x12, 0x34, type});
  }
  [[nodiscard]] static Frame ethernet(unsigned type) {
    Frame frame = counting_frame(64);
    put(frame, 12, {0x88, 0xF7});
    put_message(frame, 14, type, 2);
    return frame;
  }
  [[nodiscard]] static Frame udp(unsigned type, unsigned version = 2) {
    Frame frame = counting_frame(90);
    put(frame, 12, {0x08, 0x00, 0x45, 0, 0, 76, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2});
    put(frame, 34, {1, 0x3F, 1, 0x3F, 0, 56, 0, 0});
    put_message(frame, 42, type, version);
    return frame;
  }
  /// Whether the metadata of a received frame say that it was stamped.
  [[nodiscard]] bool receive(const Frame& frame) {
    fixture_.inject(frame);
    Burst<32> burst = fixture_.rx_burst();
    EXPECT_EQ(burst.size(), 1u);
    const bool stamped = !burst.empty() && RxMetadata(burst[0]).is_stamped();
    burst.drop(received_, fixture_.cache);
    return stamped;
  }
  [[nodiscard]] bool send(std::uint32_t flags) {
    MbufPtr frame = fixture_.make_mbuf(counting_frame(60));
    if (flags != 0) frame->set_tx_offload({.flags = flags});
    Burst<1> burst;
    EXPECT_TRUE(burst.push(frame));
    const bool taken = fixture_.port.tx(0).tx_burst(burst) == 1;
    burst.drop(received_, fixture_.cache);
    return taken;
  }

  DropCounter received_{"received"};
  CardFixture fixture_;
};

TEST_F(FrameStampsTest, AReceivedMessageHasItsTimeAndItsName) {
  EXPECT_FALSE(receive(ethernet(kSync))) << "not asked for";
  ASSERT_TRUE(use(StampedMessages::ptp2));
  EXPECT_FALSE(rx_stamp());
  fixture_.clock->advance(1ms);
  const Time then = now();
  EXPECT_TRUE(receive(ethernet(kSync)));
  fixture_.clock->advance(1ms);
  const auto stamp = rx_stamp();
  ASSERT_TRUE(stamp);
  EXPECT_EQ(stamp->time, then);
  EXPECT_EQ(stamp->source, (std::array<std::uint8_t, 6>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(stamp->sequence, 0x1234u);
  EXPECT_FALSE(rx_stamp()) << "a stamp is taken once";
  EXPECT_FALSE(receive(ethernet(kAnnounce))) << "a general message";
  EXPECT_TRUE(receive(udp(kDelayRequest)));
  EXPECT_FALSE(receive(ethernet(kSync))) << "the card keeps one stamp";
  EXPECT_TRUE(rx_stamp());
  EXPECT_TRUE(receive(ethernet(kSync)));
}

TEST_F(FrameStampsTest, SelectsMessages) {
  struct Case {
    StampedMessages messages;
    bool ethernet, udp, sync1, delay1;
  };
  for (const Case& one : {Case{StampedMessages::ptp2_ethernet, true, false, false, false},
                          Case{StampedMessages::ptp2_udp, false, true, false, false},
                          Case{StampedMessages::ptp2, true, true, false, false},
                          Case{StampedMessages::ptp1_sync, false, false, true, false},
                          Case{StampedMessages::ptp1_delay_request, false, false, false, true},
                          Case{StampedMessages::none, false, false, false, false}}) {
    ASSERT_TRUE(use(one.messages));
    EXPECT_EQ(receive(ethernet(kSync)), one.ethernet) << static_cast<int>(one.messages);
    static_cast<void>(rx_stamp());
    EXPECT_EQ(receive(udp(kSync)), one.udp) << static_cast<int>(one.messages);
    static_cast<void>(rx_stamp());
    EXPECT_EQ(receive(udp(kSync, 1)), one.sync1) << static_cast<int>(one.messages);
    static_cast<void>(rx_stamp());
    EXPECT_EQ(receive(udp(kDelayRequest, 1)), one.delay1) << static_cast<int>(one.messages);
    static_cast<void>(rx_stamp());
  }
}

TEST_F(FrameStampsTest, ASentFrameIsStampedIfItAsks) {
  ASSERT_TRUE(use(StampedMessages::none));
  EXPECT_NE(fixture_.port.offloads().tx_flags & TxOffload::timestamp, 0u);
  EXPECT_TRUE(send(0));
  EXPECT_FALSE(tx_stamp());
  fixture_.clock->advance(1ms);
  const Time then = now();
  EXPECT_TRUE(send(TxOffload::timestamp));
  fixture_.clock->advance(1ms);
  EXPECT_TRUE(send(TxOffload::timestamp)) << "the card keeps the first stamp";
  EXPECT_EQ(tx_stamp(), then);
  EXPECT_FALSE(tx_stamp());
  ASSERT_TRUE(use(StampedMessages::none, false));
  EXPECT_TRUE(send(TxOffload::timestamp));
  EXPECT_FALSE(tx_stamp()) << "turned off";
  EXPECT_EQ(fixture_.sent.size(), 4u);
  EXPECT_EQ(counter("tx_stamps_taken"), 1u);
}

TEST_F(FrameStampsTest, AnUnreadStampIsGivenUp) {
  ASSERT_TRUE(use(StampedMessages::ptp2));
  EXPECT_TRUE(receive(ethernet(kSync)));
  EXPECT_TRUE(send(TxOffload::timestamp));
  ASSERT_TRUE(fixture_.port.service());
  fixture_.clock->advance(4s);
  ASSERT_TRUE(fixture_.port.service());
  EXPECT_FALSE(receive(ethernet(kSync)));
  fixture_.clock->advance(1s);
  ASSERT_TRUE(fixture_.port.service());
  EXPECT_EQ(counter("rx_stamps_unread"), 1u);
  EXPECT_EQ(counter("tx_stamps_unread"), 1u);
  EXPECT_FALSE(rx_stamp());
  EXPECT_FALSE(tx_stamp());
  EXPECT_TRUE(receive(ethernet(kSync)));
  EXPECT_TRUE(rx_stamp());
  EXPECT_EQ(counter("rx_stamps_taken"), 1u);
}

TEST_F(FrameStampsTest, SettingsOutliveAResetAndStampsDoNot) {
  ASSERT_TRUE(use(StampedMessages::ptp2));
  EXPECT_TRUE(receive(udp(kSync)));
  ASSERT_TRUE(fixture_.port.stop());
  const auto stopped = fixture_.port.capability<FrameStamps>()->take_rx_stamp();
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, ErrorCode::bad_state);
  ASSERT_TRUE(fixture_.port.start());
  ASSERT_TRUE(fixture_.port.wait_for_link(5s));
  EXPECT_FALSE(rx_stamp());
  EXPECT_TRUE(receive(udp(kSync)));
  static_cast<void>(rx_stamp());
  EXPECT_TRUE(receive(ethernet(kSync)));
  EXPECT_TRUE(send(TxOffload::timestamp));
  EXPECT_TRUE(tx_stamp());
}

TEST_F(FrameStampsTest, FlowRulesAndStampsShareTheFilters) {
  const auto rule = [&](std::uint16_t type) {
    return test::add_rule(fixture_.port, FlowRule(match::eth().type(type), to_queue(0)));
  };
  const auto ptp = rule(0x88F7);
  ASSERT_TRUE(ptp) << ptp.error().message();
  const auto refused = use(StampedMessages::ptp2);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::busy);
  EXPECT_EQ(fixture_.port.settings().stamps, FrameStampsConfig{});
  EXPECT_TRUE(use(StampedMessages::ptp2_udp)) << "needs a filter of another kind";
  ASSERT_TRUE(test::remove_rule(fixture_.port, *ptp));
  ASSERT_TRUE(use(StampedMessages::ptp2));
  EXPECT_EQ(rule(0x88F7).error().code, ErrorCode::busy);
  for (std::uint16_t type = 0x9000; type < 0x9007; ++type) ASSERT_TRUE(rule(type));
  EXPECT_EQ(rule(0x9007).error().code, ErrorCode::busy) << "the eighth filter";
  EXPECT_TRUE(receive(ethernet(kSync)));
  ASSERT_TRUE(use(StampedMessages::none));
  EXPECT_TRUE(rule(0x9007));
  EXPECT_EQ(use(StampedMessages::ptp2).error().code, ErrorCode::busy);
}

}  // namespace
}  // namespace pollux::test
