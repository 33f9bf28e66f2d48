// SPDX-License-Identifier: BSD-3-Clause
// The clocks of ports, and the time stamps of frames, of those ports that have them.
#include <chrono>
#include <cmath>
#include <optional>

#include "conformance/fixture.hpp"
#include "pollux/net/frame_stamps.hpp"
#include "pollux/net/port_clock.hpp"
#include "pollux/net/rx_metadata.hpp"
#include "support/settings_edits.hpp"

namespace pollux::conformance {
namespace {

using namespace std::chrono_literals;

class Clocks : public Conformance {
 protected:
  [[nodiscard]] static Time now(Port& port) {
    const auto time = port.capability<PortClock>()->time();
    EXPECT_TRUE(time) << time.error().message();
    return time ? *time : Time(-1);
  }
  /// A Sync message of version 2, to all.
  [[nodiscard]] static Bytes sync(std::uint8_t sequence) {
    Bytes frame(64);
    std::fill_n(frame.begin(), 6, std::uint8_t{0xFF});
    frame[12] = 0x88;
    frame[13] = 0xF7;
    frame[15] = 2;
    for (std::uint8_t i = 0; i < 6; ++i) frame[14 + 22 + i] = i;
    frame[14 + 31] = sequence;
    return frame;
  }
  void send_stamped(Port& port, const Bytes& frame) {
    MbufPtr mbuf = make_mbuf(frame);
    mbuf->set_tx_offload({.flags = TxOffload::timestamp});
    Burst<1> burst;
    ASSERT_TRUE(burst.push(mbuf));
    ASSERT_EQ(port.tx(0).tx_burst(burst), 1u);
    settle(port);
  }
};

CONFORMANCE_TEST(Clocks, RunAndAreSet) {
  start_both();
  if (!left().capability<PortClock>()) {
    EXPECT_EQ(left().offloads().tx_flags & TxOffload::timestamp, 0u);
    return;
  }
  ASSERT_TRUE(test::run_clock(left()));
  const Time first = now(left());
  pass_time();
  pass_time();
  const Time second = now(left());
  EXPECT_GT(second, first);
  EXPECT_LT(second - first, 10s);
  ASSERT_TRUE(left().capability<PortClock>()->set_time(1'000'000s));
  ASSERT_TRUE(left().capability<PortClock>()->adjust_time(-500'000s));
  EXPECT_GE(now(left()), 500'000s);
  EXPECT_LT(now(left()), 500'010s);
  // A new rate does not change time that has passed.
  const double deviation = traits().clock_deviation;
  const auto frequency = test::run_clock(left(), deviation);
  ASSERT_TRUE(frequency);
  EXPECT_NEAR(*frequency, deviation, 100);
  EXPECT_GE(now(left()), 500'000s);
  EXPECT_LT(now(left()), 500'010s);
  stop_both();
  start_again();
  EXPECT_GE(now(left()), 500'000s);
  EXPECT_LT(now(left()), 500'060s);
  Time last = now(left());
  for (int i = 0; i < 1000; ++i) {
    const Time next = now(left());
    ASSERT_GE(next, last);
    last = next;
  }
}

CONFORMANCE_TEST_WHERE(Clocks, StampSentAndReceivedMessages, traits.two_ports()) {
  start_both();
  const bool has_stamps = static_cast<bool>(left().capability<FrameStamps>());
  ASSERT_EQ(has_stamps, static_cast<bool>(left().capability<PortClock>()));
  if (!has_stamps || !right().capability<FrameStamps>()) return;
  const FrameStampsConfig config{.receive = StampedMessages::ptp2_ethernet, .transmit = true};
  ASSERT_TRUE(left().change([&](Settings& settings) { settings.stamps = config; }));
  ASSERT_TRUE(right().change([&](Settings& settings) { settings.stamps = config; }));
  for (std::uint8_t sequence = 1; sequence <= 3; ++sequence) {
    const Time sending = now(left()), receiving = now(right());
    send_stamped(left(), sync(sequence));
    Burst<32> burst;
    for (int i = 0; i < 100 && burst.empty(); ++i) {
      right().rx(0).rx_burst(burst);
      pass_time();
    }
    ASSERT_EQ(burst.size(), 1u);
    EXPECT_TRUE(RxMetadata(burst[0]).is_stamped());
    burst = {};
    const auto sent = left().capability<FrameStamps>()->take_tx_stamp();
    ASSERT_TRUE(sent && *sent);
    EXPECT_GE(**sent, sending);
    EXPECT_LE(**sent, now(left()));
    const auto received = right().capability<FrameStamps>()->take_rx_stamp();
    ASSERT_TRUE(received && *received);
    EXPECT_GE((**received).time, receiving);
    EXPECT_LE((**received).time, now(right()));
    // [I-RXSATR] QEMU's card takes them from other bytes.
    if (right().info().backend != "sim") continue;
    EXPECT_EQ((**received).sequence, sequence);
    EXPECT_EQ((**received).source, (std::array<std::uint8_t, 6>{0, 1, 2, 3, 4, 5}));
  }
}

}  // namespace
}  // namespace pollux::conformance
