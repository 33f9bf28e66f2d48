// SPDX-License-Identifier: BSD-3-Clause
// What a program does with received frames on any port: it sorts them by flow rules, forwards them from ring to ring,
// and reads the status of their checksums.
#include <algorithm>
#include <array>

#include "conformance/fixture.hpp"
#include "pollux/net/flow/match.hpp"
#include "pollux/net/flow/software_classifier.hpp"
#include "pollux/net/packet/builder.hpp"
#include "support/settings_edits.hpp"

namespace pollux::conformance {
namespace {

constexpr MacAddress kFlowSender{0x02, 0x43, 0, 0, 0, 0x03};

class SoftwareFlows : public Conformance {
 protected:
  static constexpr std::size_t kSorted = 3;

  /// A UDP packet to `port`. `number` determines its payload.
  [[nodiscard]] static Bytes make_datagram(bool ipv6, std::uint16_t port, std::uint8_t number) {
    Bytes memory(256);
    packet::Builder builder(memory);
    builder.ethernet({.destination = kBroadcast, .source = kFlowSender});
    if (ipv6) {
      builder.ipv6({.source = {0xFD, 1}, .destination = {0xFD, 2}});
    } else {
      builder.ipv4({.source = {10, 0, 0, 1}, .destination = {10, 0, 0, 2}});
    }
    builder.udp({.source_port = 1000, .destination_port = port}).payload(Bytes(40, number));
    const auto frame = builder.finish(0);
    EXPECT_TRUE(frame);
    return {frame->begin(), frame->end()};
  }
  /// Sorts what the right port receives, until `count` frames of kFlowSender are sorted or dropped.
  void sort_received(std::size_t count) {
    static_cast<void>(wait_until(context_->clock(), "the sorting of all frames", std::chrono::seconds(10), [&] {
      Burst<32> burst;
      if (right().rx(0).rx_burst(burst) == 0) pass_time();
      std::array<Burst<32>, kSorted> queues;
      classifier_.sort(burst, queues);
      EXPECT_TRUE(burst.empty());
      for (std::size_t queue = 0; queue < kSorted; ++queue) {
        for (const Mbuf& mbuf : queues[queue]) {
          const Bytes bytes = content(mbuf);
          if (std::equal(kFlowSender.begin(), kFlowSender.end(), bytes.begin() + 6)) {
            sorted_[queue].push_back(bytes);
            marked_[queue] += mbuf.user() == 7 ? 1U : 0U;
          }
        }
      }
      return sorted_[0].size() + sorted_[1].size() + sorted_[2].size() + classifier_.dropped().value() >= count;
    }));
  }

  SoftwareClassifier classifier_{kSorted};
  std::array<std::vector<Bytes>, kSorted> sorted_;
  std::array<std::size_t, kSorted> marked_{};
};

CONFORMANCE_TEST_WHERE(SoftwareFlows, SortTheFramesOfAnyPort,
                       traits.delivers && !traits.by_file && !traits.needs_relay) {
  ASSERT_TRUE(classifier_.add({match::ipv4().source({10, 0, 0, 1}), to_mark(7)}));
  ASSERT_TRUE(classifier_.add({match::udp().destination_port(53), to_queue(1)}));
  ASSERT_TRUE(classifier_.add({match::udp().destination_port(54), to_drop()}));
  ASSERT_TRUE(classifier_.add({match::ipv6(), to_queue(2), 1}));
  start_both();
  std::vector<Bytes> frames;
  std::array<std::vector<Bytes>, kSorted> expected;
  std::size_t dropped = 0;
  for (std::uint8_t i = 0; i < 24; ++i) {
    const bool ipv6 = i % 2 != 0;
    const auto port = static_cast<std::uint16_t>(53 + i % 3);
    frames.push_back(make_datagram(ipv6, port, i));
    if (port == 54) {
      ++dropped;
    } else {
      expected[port == 53 ? 1 : ipv6 ? 2 : 0].push_back(frames.back());
    }
  }
  send(left(), frames);
  sort_received(frames.size());
  EXPECT_EQ(sorted_, expected);
  EXPECT_EQ(classifier_.dropped().value(), dropped);
  EXPECT_EQ(marked_, (std::array<std::size_t, kSorted>{4, 4, 0}));
}

class ForwardPaths : public Conformance {};

// The right port returns each frame to its sender.
CONFORMANCE_TEST_WHERE(ForwardPaths, MoveFramesFromRingToRing, traits.forward_paths) {
  ASSERT_TRUE(test::configure_port(left(), config()));
  ASSERT_TRUE(test::configure_port(right(), config()));
  auto path = right().forward_path(0, right(), 0);
  ASSERT_TRUE(path) << path.error().message();
  ASSERT_TRUE(left().start());
  ASSERT_TRUE(right().start());
  wait_for_links();
  const MacAddress sender = left().mac();
  const MacAddress forwarder = right().mac();
  const auto turn_back = [&](ForwardedFrame& frame) {
    std::copy(sender.begin(), sender.end(), frame.data);
    std::copy(forwarder.begin(), forwarder.end(), frame.data + 6);
  };
  constexpr std::uint32_t kReturned = 16;
  constexpr std::uint32_t kRounds = 12;  // the rings are used several times over
  for (std::uint32_t group = 0; group < kRounds; ++group) {
    std::vector<Bytes> frames;
    std::vector<Bytes> expected;
    for (std::uint32_t i = 0; i < kReturned; ++i) {
      frames.push_back(make_frame(60 + 80 * i, group * kReturned + i, forwarder));
      expected.push_back(frames.back());
      std::copy(sender.begin(), sender.end(), expected.back().begin());
      std::copy(forwarder.begin(), forwarder.end(), expected.back().begin() + 6);
    }
    send(left(), frames);
    std::uint32_t moved = 0;
    static_cast<void>(wait_until(context_->clock(), "the forwarding of a group", std::chrono::seconds(10), [&] {
      moved += (*path)->burst(32, turn_back);
      if (moved < kReturned) pass_time();
      return moved >= kReturned;
    }));
    ASSERT_EQ(moved, kReturned);
    ASSERT_EQ(receive(left(), kReturned), expected) << "group " << group;
  }
  EXPECT_EQ(right().stats().rx_burst_packets, kReturned * kRounds);
  EXPECT_EQ(right().stats().tx_burst_packets, kReturned * kRounds);
  path->reset();
  const std::vector<Bytes> frames = make_frames(20, 100, forwarder);
  EXPECT_EQ(exchange(left(), right(), frames), frames) << "the queues work as before";
}

class ReceivedChecksums : public Conformance {};

// A port says only what it checked. A card checks all of these.
CONFORMANCE_TEST_WHERE(ReceivedChecksums, AreReportedForGoodAndBadPackets,
                       traits.delivers && !traits.by_file && !traits.needs_relay) {
  start_both();
  const auto expected = [&](RxOffload flag, bool good) {
    if (!right().offloads().reports(flag) || !traits().good_checksums) return ChecksumStatus::unknown;
    if (good) return ChecksumStatus::good;
    return traits().bad_checksums ? ChecksumStatus::bad : ChecksumStatus::unknown;
  };
  for (const bool tcp : {false, true}) {
    for (const auto& [good_ip, good_l4] : {std::pair{true, true}, {true, false}, {false, true}}) {
      Bytes memory(256);
      packet::Builder builder(memory);
      builder.ethernet({.destination = kBroadcast, .source = kFlowSender});
      builder.ipv4({.source = {10, 0, 0, 1}, .destination = {10, 0, 0, 2}});
      if (tcp) {
        builder.tcp({.source_port = 1000, .destination_port = 2000});
      } else {
        builder.udp({.source_port = 1000, .destination_port = 2000});
      }
      const auto made = builder.payload(Bytes(40, 0x33)).finish(0);
      ASSERT_TRUE(made);
      Bytes frame(made->begin(), made->end());
      if (!good_ip) frame[14 + 10] ^= 1;
      if (!good_l4) frame.back() ^= 1;
      send(left(), {frame});
      MbufPtr arrived;
      static_cast<void>(wait_until(context_->clock(), "the arrival of a packet", std::chrono::seconds(10), [&] {
        Burst<1> burst;
        if (right().rx(0).rx_burst(burst) == 0) pass_time();
        if (!burst.empty()) arrived = burst.pop();
        return arrived != nullptr;
      }));
      ASSERT_NE(arrived, nullptr);
      EXPECT_EQ(content(*arrived), frame);
      const RxMetadata metadata(*arrived);
      const RxOffload l4_flag = tcp ? RxOffload::tcp_checksum : RxOffload::udp_checksum;
      EXPECT_EQ(metadata.ip_checksum(), expected(RxOffload::ipv4_checksum, good_ip)) << tcp << good_ip << good_l4;
      if (good_ip) {
        EXPECT_EQ(metadata.l4_checksum(), expected(l4_flag, good_l4)) << tcp << good_l4;
      }
    }
  }
}

}  // namespace
}  // namespace pollux::conformance
