// SPDX-License-Identifier: BSD-3-Clause
// The control queue: filters, addresses, queues, hashes, coalescing. VIRTIO 1.3, 5.1.6.5.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "unit/models/virtio/frames.hpp"

namespace pollux::models::virtio {
namespace {

namespace feature = hw::feature;
constexpr std::uint8_t kError = 1;
constexpr hw::Features kFilters = feature::kCtrlVq | feature::kCtrlRx | feature::kCtrlRxExtra | feature::kCtrlVlan |
                                  feature::kCtrlMacAddr | feature::kMac;
using Data = std::vector<std::uint8_t>;
using Mac = std::array<std::uint8_t, 6>;
constexpr Mac kOwn{0x02, 0x00, 0x00, 0x1A, 0xF4, 0x00};
constexpr Mac kOther{0x02, 1, 2, 3, 4, 5};
constexpr Mac kMulticast{0x01, 0, 0x5E, 3, 4, 5};
constexpr Mac kBroadcast{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};

struct ControlFixture : DeviceFixture {
  using DeviceFixture::DeviceFixture;
  /// Whether a frame to this address arrives.
  bool passes(const Mac& to, bool tagged = false) {
    ring(0).add({{buffer(0), 2048, true}});
    Bytes bytes = frame(64, to);
    if (tagged) put16(bytes, 12, 0x8100), put16(bytes, 14, 0xE02A);  // VLAN 42, priority 7
    const std::uint64_t before = card.counters().rx_frames;
    card.receive(bytes);
    return card.counters().rx_frames != before;
  }
};

TEST(VirtioControl, AnswersUnknownCommandsWithAnError) {
  ControlFixture fixture;
  fixture.start(kFilters);
  for (const auto& [control_class, command] :
       {std::pair(0, 6), {1, 2}, {2, 2}, {3, 0}, {4, 0}, {4, 1}, {4, 2}, {5, 0}, {6, 0}, {6, 2}, {7, 0}, {255, 255}}) {
    EXPECT_EQ(fixture.control(static_cast<std::uint8_t>(control_class), static_cast<std::uint8_t>(command), Data(4)),
              kError)
        << control_class << ' ' << command;
  }
  EXPECT_FALSE(fixture.needs_reset());
}

TEST(VirtioControl, RefusesDataOfAnotherLength) {
  ControlFixture fixture;
  fixture.start(kFilters);
  EXPECT_EQ(fixture.control(0, 0, {}), kError);
  EXPECT_EQ(fixture.control(0, 0, {1, 1}), kError);
  EXPECT_EQ(fixture.control(0, 0, {2}), kError);
  EXPECT_EQ(fixture.control(1, 0, {0, 0, 0, 0}), kError);
  EXPECT_EQ(fixture.control(1, 0, {255, 255, 255, 255, 0, 0, 0, 0}), kError);
  EXPECT_EQ(fixture.control(1, 1, {2, 0, 0, 0, 0}), kError);
  EXPECT_EQ(fixture.control(2, 0, {1}), kError);
  EXPECT_EQ(fixture.control(2, 0, {0, 0x10}), kError);
}

TEST(VirtioControl, FiltersAddresses) {
  ControlFixture fixture;
  fixture.start(kFilters);
  const auto all = [&] {
    return std::array{fixture.passes(kOwn), fixture.passes(kOther), fixture.passes(kMulticast),
                      fixture.passes(kBroadcast)};
  };
  EXPECT_EQ(all(), (std::array{true, false, false, true}));
  const auto set = [&](std::uint8_t mode, bool on) { EXPECT_EQ(fixture.control(0, mode, {std::uint8_t{on}}), kOk); };
  set(hw::rx_command::kAllMulticast, true);
  EXPECT_EQ(all(), (std::array{true, false, true, true}));
  set(hw::rx_command::kAllUnicast, true);
  EXPECT_EQ(all(), (std::array{true, true, true, true}));
  set(hw::rx_command::kNoMulticast, true);
  EXPECT_EQ(all(), (std::array{true, true, false, true}));
  set(hw::rx_command::kNoUnicast, true);
  EXPECT_EQ(all(), (std::array{false, false, false, true}));
  set(hw::rx_command::kNoBroadcast, true);
  EXPECT_EQ(all(), (std::array{false, false, false, false}));
  set(hw::rx_command::kPromiscuous, true);
  EXPECT_EQ(all(), (std::array{true, true, true, true}));
}

TEST(VirtioControl, PassesAllWithoutCtrlRx) {
  ControlFixture fixture;
  fixture.start();
  EXPECT_TRUE(fixture.passes(kOther));
  EXPECT_TRUE(fixture.passes(kMulticast));
  EXPECT_TRUE(fixture.passes(kOther, true));
}

TEST(VirtioControl, SetsTheTableOfAddresses) {
  ControlFixture fixture;
  fixture.start(kFilters);
  Data table{1, 0, 0, 0};
  table.insert(table.end(), kOther.begin(), kOther.end());
  table.insert(table.end(), {1, 0, 0, 0});
  table.insert(table.end(), kMulticast.begin(), kMulticast.end());
  EXPECT_EQ(fixture.control(1, 0, table), kOk);
  EXPECT_TRUE(fixture.passes(kOther));
  EXPECT_TRUE(fixture.passes(kMulticast));
  EXPECT_EQ(fixture.control(1, 0, Data(8)), kOk);
  EXPECT_FALSE(fixture.passes(kOther));
  std::swap_ranges(table.begin() + 4, table.begin() + 10, table.begin() + 14);
  EXPECT_EQ(fixture.control(1, 0, table), kError);  // a multicast address in the first table
}

TEST(VirtioControl, SetsItsAddress) {
  ControlFixture fixture;
  fixture.start(kFilters);
  EXPECT_EQ(fixture.control(1, 1, Data(kOther.begin(), kOther.end())), kOk);
  EXPECT_TRUE(fixture.passes(kOther));
  EXPECT_FALSE(fixture.passes(kOwn));
  EXPECT_EQ(fixture.config<hw::MAC>(5), 5U);
  EXPECT_EQ(fixture.control(1, 1, Data(kMulticast.begin(), kMulticast.end())), kError);
  fixture.start(kFilters);
  EXPECT_EQ(fixture.config<hw::MAC>(5), 0U);
}

TEST(VirtioControl, FiltersVlans) {
  ControlFixture fixture;
  fixture.start(kFilters);
  EXPECT_FALSE(fixture.passes(kOwn, true));
  EXPECT_EQ(fixture.control(2, 0, {42, 0}), kOk);
  EXPECT_TRUE(fixture.passes(kOwn, true));
  EXPECT_EQ(fixture.control(2, 1, {42, 0}), kOk);
  EXPECT_FALSE(fixture.passes(kOwn, true));
  EXPECT_TRUE(fixture.passes(kOwn));
}

TEST(VirtioControl, AnnouncesUntilTheDriverHasSeenIt) {
  ControlFixture fixture;
  fixture.start(feature::kCtrlVq | feature::kGuestAnnounce | feature::kStatus);
  fixture.card.announce();
  EXPECT_EQ(fixture.config<hw::NET_STATUS>(), 3U);
  EXPECT_EQ(fixture.messages, std::vector<unsigned>{0});
  EXPECT_EQ(fixture.control(3, 0, {}), kOk);
  EXPECT_EQ(fixture.config<hw::NET_STATUS>(), 1U);
}

TEST(VirtioControl, SetsGuestOffloads) {
  ControlFixture fixture;
  fixture.start(feature::kCtrlVq | feature::kCtrlGuestOffloads | feature::kGuestCsum | feature::kGuestTso4);
  const auto flags = [&] {
    fixture.ring(0).add({{DeviceFixture::buffer(0), 2048, true}});
    fixture.card.receive(packet({}, 100, false));
    return fixture.memory.get<hw::NetHeader>(DeviceFixture::buffer(0)).flags;
  };
  EXPECT_EQ(flags(), 2U);
  EXPECT_EQ(fixture.control(5, 0, Data(8)), kOk);
  EXPECT_EQ(flags(), 0U);
  EXPECT_EQ(fixture.control(5, 0, {0x80, 0, 0, 0, 0, 0, 0, 0}), kError);  // TSO4 needs a checksum
  EXPECT_EQ(fixture.control(5, 0, {2, 1, 0, 0, 0, 0, 0, 0}), kError);     // TSO6 was not negotiated
  EXPECT_EQ(fixture.control(5, 0, {0x82, 0, 0, 0, 0, 0, 0, 0}), kOk);
  EXPECT_EQ(flags(), 2U);
}

TEST(VirtioControl, CommandsWithoutRoomForAStatusBreakTheDevice) {
  ControlFixture fixture;
  fixture.start(kFilters);
  fixture.ring(2).add({{DeviceFixture::buffer(50), 3, false}});
  fixture.kick(2);
  EXPECT_TRUE(fixture.needs_reset());
  fixture.start(kFilters);
  fixture.ring(2).add({{DeviceFixture::buffer(50), 1, false}, {DeviceFixture::buffer(60), 1, true}});
  fixture.kick(2);
  EXPECT_TRUE(fixture.needs_reset());
}

TEST(VirtioControl, IsTheQueueAfterAllPairsThatMayBeUsed) {
  ControlFixture fixture;
  fixture.start(kFilters | feature::kMq, 4);
  EXPECT_EQ(fixture.control_index(), 8U);
  EXPECT_EQ(fixture.control(4, 0, {4, 0}), kOk);
  fixture.start(kFilters);
  EXPECT_EQ(fixture.control_index(), 2U);
  EXPECT_EQ(fixture.control(4, 0, {1, 0}), kError);
}

struct SteeringFixture : ControlFixture {
  /// Sends packets with source ports from 1000 on to the device; returns the queue of each.
  std::vector<int> queues(int packets, const PacketKind& kind = {}) {
    std::vector<int> all;
    for (int i = 0; i < packets; ++i) {
      card.receive(packet(kind, 20, false, static_cast<std::uint16_t>(1000 + i)));
      all.push_back(-1);
      for (std::uint16_t pair = 0; pair < 4; ++pair) {
        if (rings[2U * pair] && ring(static_cast<std::uint16_t>(2 * pair)).used()) all.back() = pair;
      }
    }
    return all;
  }
  void refill() {
    for (std::uint16_t pair = 0; pair < 4; ++pair) {
      for (int i = 0; i < 12; ++i) ring(static_cast<std::uint16_t>(2 * pair)).add({{buffer(pair), 2048, true}});
    }
  }
  Data rss(std::uint32_t types, const std::vector<std::uint16_t>& table, std::size_t key_bytes = 40) {
    Data data{static_cast<std::uint8_t>(types),
              static_cast<std::uint8_t>(types >> 8),
              0,
              0,
              static_cast<std::uint8_t>(table.size() - 1),
              0,
              2,
              0};
    for (const std::uint16_t pair : table) data.push_back(static_cast<std::uint8_t>(pair)), data.push_back(0);
    data.insert(data.end(), {4, 0, static_cast<std::uint8_t>(key_bytes)});
    for (std::size_t i = 0; i < key_bytes; ++i) data.push_back(i < kKey.size() ? kKey[i] : std::uint8_t{0});
    return data;
  }
  /// The key of Microsoft's test vectors ("Verifying the RSS Hash Calculation").
  static constexpr std::array<std::uint8_t, 40> kKey{0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67,
                                                     0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb,
                                                     0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
                                                     0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};
};

TEST(VirtioSteering, UsesOneQueueUntilMoreAreAskedFor) {
  SteeringFixture fixture;
  fixture.start(feature::kCtrlVq | feature::kMq, 4);
  fixture.refill();
  EXPECT_EQ(fixture.queues(4), std::vector<int>(4, 0));
  for (const std::uint8_t refused : {std::uint8_t{0}, std::uint8_t{5}})
    EXPECT_EQ(fixture.control(4, 0, {refused, 0}), kError);
  EXPECT_EQ(fixture.control(4, 0, {4, 0}), kOk);
  const auto spread = fixture.queues(8);
  EXPECT_GT(std::set<int>(spread.begin(), spread.end()).size(), 1U);
}

// A flow's frames arrive at the pair that sent last for it.
TEST(VirtioSteering, FollowsTheSender) {
  SteeringFixture fixture;
  fixture.start(feature::kCtrlVq | feature::kMq, 4);
  fixture.refill();
  EXPECT_EQ(fixture.control(4, 0, {4, 0}), kOk);
  for (const std::uint16_t pair : std::initializer_list<std::uint16_t>{3, 1, 2, 0}) {
    Bytes reverse = packet({}, 20, false, 80);
    put16(reverse, 26 + 2, 2), put16(reverse, 30 + 2, 1);  // addresses exchanged
    put16(reverse, 36, 1000);
    fixture.send(reverse, {}, static_cast<std::uint16_t>(2 * pair + 1));
    EXPECT_EQ(fixture.queues(1), std::vector<int>{pair});
  }
}

TEST(VirtioSteering, RefusesPairsThatAreNotEnabled) {
  SteeringFixture fixture;
  fixture.start(feature::kCtrlVq | feature::kMq, 2);
  EXPECT_EQ(fixture.control(4, 0, {2, 0}), kOk);
  EXPECT_EQ(fixture.control(4, 0, {3, 0}), kError);
}

TEST(VirtioSteering, HashesByToeplitz) {
  // Microsoft's vectors: 66.9.149.187:2794 to 161.142.100.80:1766, and 3ffe:2501:200:1fff::7 :2794 to
  // 3ffe:2501:200:3::1 :1766.
  Bytes four = packet({}, 20, false, 2794);
  put16(four, 26, 0x4209), put16(four, 28, 0x95BB), put16(four, 30, 0xA18E), put16(four, 32, 0x6450),
      put16(four, 36, 1766);
  Bytes six = packet({.ipv6 = true}, 20, false, 2794);
  const std::array<unsigned, 16> addresses{0x3ffe, 0x2501, 0x0200, 0x1fff, 0, 0, 0, 7,
                                           0x3ffe, 0x2501, 0x0200, 3,      0, 0, 0, 1};
  for (std::size_t i = 0; i < addresses.size(); ++i) put16(six, 22 + 2 * i, addresses[i]);
  put16(six, 56, 1766);
  SteeringFixture fixture;
  fixture.start(feature::kCtrlVq | feature::kHashReport);
  const auto hash = [&](std::uint32_t types, const Bytes& frame) {
    Data data{static_cast<std::uint8_t>(types), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 40};
    data.insert(data.end(), SteeringFixture::kKey.begin(), SteeringFixture::kKey.end());
    EXPECT_EQ(fixture.control(4, 2, data), kOk);
    fixture.ring(0).add({{DeviceFixture::buffer(0), 2048, true}});
    fixture.card.receive(frame);
    const auto header = fixture.memory.get<hw::NetHeaderWithHash>(DeviceFixture::buffer(0));
    return std::pair(header.hash_value, header.hash_report);
  };
  EXPECT_EQ(hash(1, four), std::pair(0x323e8fc2U, std::uint16_t{1}));
  EXPECT_EQ(hash(3, four), std::pair(0x51ccc178U, std::uint16_t{2}));
  EXPECT_EQ(hash(8, six), std::pair(0x2cc18cd5U, std::uint16_t{4}));
  EXPECT_EQ(hash(0x38, six), std::pair(0x40207d3dU, std::uint16_t{5}));
  EXPECT_EQ(hash(4, four), std::pair(0U, std::uint16_t{0}));
  EXPECT_EQ(hash(0x3F, DeviceFixture::frame(64)), std::pair(0U, std::uint16_t{0}));
  // Not every fragment has ports, so all of a datagram are hashed by their addresses.
  put16(four, 20, 0x2000), six[20] = std::byte{44};
  EXPECT_EQ(hash(3, four), std::pair(0x323e8fc2U, std::uint16_t{1}));
  EXPECT_EQ(hash(0x38, six), std::pair(0x2cc18cd5U, std::uint16_t{4}));
}

TEST(VirtioSteering, FollowsTheRssTable) {
  SteeringFixture fixture;
  fixture.start(feature::kCtrlVq | feature::kRss, 4);
  fixture.refill();
  EXPECT_EQ(fixture.control(4, 1, fixture.rss(2, {3})), kOk);
  EXPECT_EQ(fixture.queues(2), std::vector<int>(2, 3));
  EXPECT_EQ(fixture.queues(1, {.udp = true}), std::vector<int>{2});  // unclassified
  EXPECT_EQ(fixture.control(4, 1, fixture.rss(2, {0, 1, 2, 3})), kOk);
  const auto spread = fixture.queues(10);
  EXPECT_GT(std::set<int>(spread.begin(), spread.end()).size(), 2U);
  Data padded = fixture.rss(2, {0});
  padded.push_back(0);
  EXPECT_EQ(fixture.control(4, 1, padded), kOk) << "as Linux does from 6.15 on";
  EXPECT_EQ(fixture.queues(2), std::vector<int>(2, 0));
  EXPECT_EQ(fixture.control(4, 1, fixture.rss(2, {0, 1, 2})), kError);
  EXPECT_EQ(fixture.control(4, 1, fixture.rss(2, {4})), kError);
  EXPECT_EQ(fixture.control(4, 1, fixture.rss(0x40, {0})), kError);
  EXPECT_EQ(fixture.control(4, 1, fixture.rss(2, {0}, 41)), kError);
  EXPECT_EQ(fixture.control(4, 1, fixture.rss(2, std::vector<std::uint16_t>(256))), kError);
  EXPECT_EQ(fixture.control(4, 1, Data(5)), kError);
}

// 5.1.6.5.5: "defined by the last command".
TEST(VirtioSteering, TheLastCommandDecidesTheKind) {
  SteeringFixture fixture;
  fixture.start(feature::kCtrlVq | feature::kRss | feature::kMq | feature::kHashReport, 4);
  fixture.refill();
  const auto to_pair_three = [&] { EXPECT_EQ(fixture.control(4, 1, fixture.rss(2, {3})), kOk); };
  to_pair_three();
  EXPECT_EQ(fixture.queues(1), std::vector<int>{3});
  EXPECT_EQ(fixture.control(4, 0, {1, 0}), kOk);
  EXPECT_EQ(fixture.queues(1), std::vector<int>{0});
  to_pair_three();
  EXPECT_EQ(fixture.control(4, 2, Data(14)), kOk) << "with Linux's padding";
  EXPECT_EQ(fixture.control(4, 2, Data(13)), kOk);
  const auto spread = fixture.queues(8);
  EXPECT_GT(std::set<int>(spread.begin(), spread.end()).size(), 1U);
}

TEST(VirtioSteering, SelectsAnotherQueueWhileOneIsReset) {
  SteeringFixture fixture;
  fixture.start(feature::kCtrlVq | feature::kRss | feature::kRingReset, 4);
  fixture.refill();
  EXPECT_EQ(fixture.control(4, 1, fixture.rss(2, {1})), kOk);
  fixture.write<hw::QUEUE_SELECT>(2);
  fixture.write<hw::QUEUE_RESET>(1);
  fixture.rings[2].reset();
  EXPECT_EQ(fixture.queues(1), std::vector<int>{2});
}

constexpr hw::Features kCoalescing = feature::kCtrlVq | feature::kNotfCoal | feature::kVqNotfCoal;

TEST(VirtioCoalescing, TellsAfterSoManyPacketsOrSoMuchTime) {
  DeviceFixture fixture;
  fixture.start(kCoalescing);
  EXPECT_EQ(fixture.control(6, 0, {3, 0, 0, 0, 100, 0, 0, 0}), kOk);
  fixture.messages.clear();
  fixture.send(DeviceFixture::frame(60));
  fixture.send(DeviceFixture::frame(60));
  EXPECT_TRUE(fixture.messages.empty());
  fixture.send(DeviceFixture::frame(60));
  EXPECT_EQ(fixture.messages.size(), 1U);
  fixture.send(DeviceFixture::frame(60));
  EXPECT_EQ(fixture.card.next_event(), std::chrono::microseconds(100));
  fixture.pass(std::chrono::microseconds(99));
  EXPECT_EQ(fixture.messages.size(), 1U);
  fixture.pass(std::chrono::microseconds(1));
  EXPECT_EQ(fixture.messages.size(), 2U);
  EXPECT_EQ(fixture.card.next_event(), Duration::max());
}

TEST(VirtioCoalescing, ChecksAtOnceWhenTheLimitsChange) {
  DeviceFixture fixture;
  fixture.start(kCoalescing);
  EXPECT_EQ(fixture.control(6, 0, {15, 0, 0, 0, 100, 0, 0, 0}), kOk);
  for (int i = 0; i < 8; ++i) fixture.send(DeviceFixture::frame(60));
  fixture.messages.clear();
  EXPECT_EQ(fixture.control(6, 0, {8, 0, 0, 0, 100, 0, 0, 0}), kOk);
  EXPECT_EQ(std::count(fixture.messages.begin(), fixture.messages.end(), 2U), 1);
}

TEST(VirtioCoalescing, HasLimitsForEachQueue) {
  DeviceFixture fixture;
  fixture.start(kCoalescing | feature::kMq, 2);
  const auto limits = [&](std::uint16_t queue) {
    EXPECT_EQ(fixture.control(6, 3, {static_cast<std::uint8_t>(queue), 0, 0, 0}, 8), kOk);
    const auto got = fixture.memory.get<hw::Coalescing>(DeviceFixture::buffer(60) + 1);
    return std::pair(got.max_packets, got.max_microseconds);
  };
  EXPECT_EQ(fixture.control(6, 1, {7, 0, 0, 0, 50, 0, 0, 0}), kOk);
  EXPECT_EQ(fixture.control(6, 2, {2, 0, 9, 9, 5, 0, 0, 0, 40, 0, 0, 0}), kOk);
  EXPECT_EQ(limits(0), std::pair(7U, 50U));
  EXPECT_EQ(limits(1), std::pair(0U, 0U));
  EXPECT_EQ(limits(2), std::pair(5U, 40U));
  for (const std::uint8_t refused : {std::uint8_t{4}, std::uint8_t{8}, std::uint8_t{99}})
    EXPECT_EQ(fixture.control(6, 3, {refused, 0, 0, 0}, 8), kError);  // disabled, control, none
  EXPECT_EQ(fixture.control(6, 3, {0, 0}, 8), kError);
}

TEST(VirtioCoalescing, AQueueThatIsEnabledAgainHasTheLimitsOfAll) {
  DeviceFixture fixture;
  fixture.start(kCoalescing | feature::kRingReset);
  EXPECT_EQ(fixture.control(6, 0, {7, 0, 0, 0, 50, 0, 0, 0}), kOk);
  EXPECT_EQ(fixture.control(6, 2, {1, 0, 0, 0, 5, 0, 0, 0, 40, 0, 0, 0}), kOk);
  fixture.write<hw::QUEUE_SELECT>(1);
  fixture.write<hw::QUEUE_RESET>(1);
  fixture.add_queue(1);
  EXPECT_EQ(fixture.control(6, 3, {1, 0, 0, 0}, 8), kOk);
  EXPECT_EQ(fixture.memory.get<std::uint32_t>(DeviceFixture::buffer(60) + 1), 7U);
}

}  // namespace
}  // namespace pollux::models::virtio
