// SPDX-License-Identifier: BSD-3-Clause
// Checksums and segments. VIRTIO 1.3, 5.1.6.2 and 5.1.6.4.
#include <gtest/gtest.h>

#include "unit/models/virtio/frames.hpp"

namespace pollux::models::virtio {
namespace {

namespace feature = hw::feature;
constexpr hw::Features kHost =
    feature::kCsum | feature::kHostTso4 | feature::kHostTso6 | feature::kHostEcn | feature::kHostUso;
constexpr hw::Features kGuest = feature::kGuestCsum | feature::kGuestTso4 | feature::kGuestTso6 | feature::kGuestEcn |
                                feature::kGuestUso4 | feature::kGuestUso6 | feature::kMrgRxbuf;

class VirtioOffload : public ::testing::TestWithParam<PacketKind> {
 protected:
  [[nodiscard]] std::uint8_t gso_type() const {
    if (GetParam().udp) return 5;
    return static_cast<std::uint8_t>((GetParam().ipv6 ? 4 : 1) | 0x80);
  }
  DeviceFixture fixture;
};
INSTANTIATE_TEST_SUITE_P(Kinds, VirtioOffload,
                         ::testing::Values(PacketKind{false, false, false}, PacketKind{true, false, false},
                                           PacketKind{false, true, false}, PacketKind{true, true, false},
                                           PacketKind{false, false, true}, PacketKind{true, true, true}));

TEST_P(VirtioOffload, ComputesAChecksum) {
  fixture.start(kHost);
  const PacketKind& kind = GetParam();
  for (const std::size_t payload : {1U, 32U, 33U, 1400U}) {
    fixture.send(packet(kind, payload, true), kind.header());
    ASSERT_FALSE(fixture.sent.empty());
    Bytes frame = fixture.sent.back();
    frame.resize(kind.payload() + payload);  // without padding
    EXPECT_TRUE(kind.checksums_are_right(frame)) << payload;
    EXPECT_EQ(frame, packet(kind, payload, false));
  }
}

TEST_P(VirtioOffload, CutsSegments) {
  fixture.start(kHost);
  const PacketKind& kind = GetParam();
  const Bytes whole = packet(kind, 1050, true);
  fixture.send(whole, kind.header(gso_type(), 500));
  ASSERT_EQ(fixture.sent.size(), 3U);
  Bytes payload;
  for (std::size_t i = 0; i < 3; ++i) {
    Bytes& frame = fixture.sent[i];
    frame.resize(kind.payload() + (i < 2 ? 500 : 50));
    EXPECT_TRUE(kind.checksums_are_right(frame)) << i;
    EXPECT_EQ(get16(frame, kind.ip() + (kind.ipv6 ? 4 : 2)), frame.size() - kind.ip() - (kind.ipv6 ? 40 : 0));
    if (!kind.ipv6) {
      EXPECT_EQ(get16(frame, kind.ip() + 4), (0xFFFE + i) & 0xFFFF);
    }
    if (kind.udp) {
      EXPECT_EQ(get16(frame, kind.l4() + 4), frame.size() - kind.l4());
    } else {
      EXPECT_EQ(get16(frame, kind.l4() + 6), 100 + 500 * i);
      // CWR in the first segment, PSH and FIN in the last one.
      EXPECT_EQ(get16(frame, kind.l4() + 12) & 0xFF, (std::array{0x90U, 0x10U, 0x19U}[i]));
    }
    payload.insert(payload.end(), frame.begin() + static_cast<std::ptrdiff_t>(kind.payload()), frame.end());
  }
  EXPECT_EQ(payload, Bytes(whole.begin() + static_cast<std::ptrdiff_t>(kind.payload()), whole.end()));
}

TEST_P(VirtioOffload, DropsWhatWasNotNegotiatedOrDoesNotFit) {
  const PacketKind& kind = GetParam();
  fixture.start();
  fixture.send(packet(kind, 100, true), kind.header());
  fixture.start(feature::kCsum);
  fixture.send(packet(kind, 100, true), kind.header(gso_type(), 50));
  fixture.start(kHost);
  std::vector<hw::NetHeader> wrong(9, kind.header(gso_type(), 50));
  wrong[0].gso_size = 0;
  wrong[1].flags = 0;                // to be segmented without a partial checksum
  wrong[2].checksum_start = 0xFFFF;  // beyond the frame
  wrong[3].checksum_offset = 0xFFFF;
  wrong[4].gso_type = 3;  // fragments of UDP
  wrong[5].gso_type = 2;  // no such type
  wrong[6].gso_type = kind.udp ? 1 : 5;
  wrong[7].checksum_start = static_cast<std::uint16_t>(kind.l4() + 4);
  wrong[8].checksum_offset = 2;
  for (const hw::NetHeader& header : wrong) fixture.send(packet(kind, 100, true), header);
  EXPECT_TRUE(fixture.sent.empty());
  EXPECT_EQ(fixture.card.counters().tx_bad, 11U);
  EXPECT_FALSE(fixture.needs_reset());
}

TEST_P(VirtioOffload, SaysThatAChecksumIsRight) {
  const PacketKind& kind = GetParam();
  const auto flags_of = [&](const Bytes& frame) {
    fixture.ring(0).add({{DeviceFixture::buffer(0), 2048, true}});
    fixture.card.receive(frame);
    EXPECT_TRUE(fixture.ring(0).used());
    return fixture.memory.get<hw::NetHeader>(DeviceFixture::buffer(0)).flags;
  };
  Bytes wrong = packet(kind, 100, false);
  wrong.back() ^= std::byte{1};
  fixture.start(feature::kGuestCsum);
  EXPECT_EQ(flags_of(packet(kind, 100, false)), 2U);
  EXPECT_EQ(flags_of(wrong), 0U);
  EXPECT_EQ(flags_of(DeviceFixture::frame(100)), 0U);
  fixture.start();
  EXPECT_EQ(flags_of(packet(kind, 100, false)), 0U);
}

TEST(VirtioFrames, DropsFramesThatAreTooShortOrTooLong) {
  DeviceFixture fixture;
  fixture.start(feature::kIndirectDesc);
  fixture.ring(1).add({{DeviceFixture::buffer(0), 11, false}});
  fixture.ring(1).add({{DeviceFixture::buffer(0), 25, false}});
  fixture.ring(1).add({{DeviceFixture::buffer(0), 40000, false}, {DeviceFixture::buffer(0), 40000, false}});
  fixture.ring(1).add({{DeviceFixture::buffer(0), 0xFFFFFFFF, false}, {DeviceFixture::buffer(0), 0xFFFFFFFF, false}});
  fixture.kick(1);
  EXPECT_EQ(fixture.card.counters().tx_bad, 4U);
  EXPECT_TRUE(fixture.sent.empty());
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(fixture.ring(1).used());
  EXPECT_FALSE(fixture.needs_reset());
}

TEST(VirtioFrames, AreDroppedWithoutALink) {
  DeviceFixture fixture;
  fixture.start();
  fixture.card.set_carrier(false);
  fixture.send(DeviceFixture::frame(60));
  EXPECT_TRUE(fixture.sent.empty());
  EXPECT_TRUE(fixture.ring(1).used());
  EXPECT_EQ(fixture.card.counters().tx_no_link, 1U);
}

TEST(VirtioFrames, LongerThanTheMtuAreNotReceived) {
  CardOptions options;
  options.mtu = 1000;
  DeviceFixture fixture(options);
  fixture.start(feature::kMtu);
  fixture.ring(0).add({{DeviceFixture::buffer(0), 2048, true}});
  fixture.card.receive(DeviceFixture::frame(1015));
  EXPECT_EQ(fixture.card.counters().rx_too_long, 1U);
  fixture.card.receive(DeviceFixture::frame(1014));
  EXPECT_TRUE(fixture.ring(0).used());
}

/// Two such devices on a wire.
struct PairFixture {
  explicit PairFixture(const CardOptions& options = {}) : left(options), right(options) {
    right.card.share_package(left.card);
    left.card.on_transmit([this](std::span<const std::byte> frame) {
      carried.emplace_back(frame.begin(), frame.end());
      right.card.receive(frame);
    });
  }
  DeviceFixture left;
  DeviceFixture right;
  std::vector<Bytes> carried;
};

TEST_P(VirtioOffload, PassesOnToItsLikeWhatTheDriverAccepts) {
  PairFixture pair;
  const PacketKind& kind = GetParam();
  pair.left.start(kHost);
  pair.right.start(kGuest);
  for (std::uint32_t i = 0; i < 2; ++i) pair.right.ring(0).add({{DeviceFixture::buffer(i), 1024, true}});
  const Bytes whole = packet(kind, 1050, true);
  pair.left.send(whole, kind.header(gso_type(), 500));
  EXPECT_EQ(pair.carried, std::vector<Bytes>{whole});
  hw::NetHeader expected = kind.header(gso_type(), 500);
  expected.num_buffers = 2;
  const auto got = pair.right.memory.get<hw::NetHeader>(DeviceFixture::buffer(0));
  EXPECT_EQ(std::memcmp(&got, &expected, sizeof got), 0);
  Bytes received = pair.right.memory.bytes(DeviceFixture::buffer(0) + 12, 1012);
  const Bytes rest = pair.right.memory.bytes(DeviceFixture::buffer(1), whole.size() - 1012);
  received.insert(received.end(), rest.begin(), rest.end());
  EXPECT_EQ(received, whole);
}

TEST_P(VirtioOffload, CompletesForItsLikeWhatTheDriverDoesNotAccept) {
  const PacketKind& kind = GetParam();
  CardOptions plain;
  plain.plain_wire = true;
  for (const auto& [options, accepted] : {std::pair(CardOptions{}, hw::Features{0}), std::pair(plain, kGuest)}) {
    PairFixture pair(options);
    pair.left.start(kHost);
    pair.right.start(accepted);
    pair.left.send(packet(kind, 1050, true), kind.header(gso_type(), 500));
    ASSERT_EQ(pair.carried.size(), 3U);
    EXPECT_TRUE(kind.checksums_are_right(pair.carried[0]));
  }
}

// The receiver's driver has changed its mind while the frame was on the wire.
TEST(VirtioPassing, CompletesOnArrivalWhatIsNoLongerAccepted) {
  PairFixture pair;
  const PacketKind kind;
  pair.left.start(kHost);
  pair.right.start(kGuest);
  pair.left.card.on_transmit(
      [&](std::span<const std::byte> frame) { pair.carried.emplace_back(frame.begin(), frame.end()); });
  pair.left.send(packet(kind, 100, true), kind.header());
  pair.right.start();
  pair.right.ring(0).add({{DeviceFixture::buffer(0), 1024, true}});
  pair.right.card.receive(pair.carried[0]);
  EXPECT_EQ(pair.right.memory.get<hw::NetHeader>(DeviceFixture::buffer(0)).flags, 0U);
  EXPECT_TRUE(kind.checksums_are_right(pair.right.memory.bytes(DeviceFixture::buffer(0) + 12, pair.carried[0].size())));
}

TEST(VirtioPassing, OutlivesTheOtherDevice) {
  DeviceFixture left;
  left.start(kHost);
  {
    DeviceFixture right;
    right.card.share_package(left.card);
    right.start(kGuest);
  }
  const PacketKind kind;
  left.send(packet(kind, 100, true), kind.header());
  ASSERT_EQ(left.sent.size(), 1U);
  EXPECT_TRUE(kind.checksums_are_right(left.sent[0]));
}

}  // namespace
}  // namespace pollux::models::virtio
