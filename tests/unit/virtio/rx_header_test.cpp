// SPDX-License-Identifier: BSD-3-Clause
// The header of a received frame, from a device that says what it may, and what it must not. VIRTIO 1.2, 5.1.6.4.
#include <cstring>

#include "net/virtio_net_header.hpp"
#include "pollux/net/rx_metadata.hpp"
#include "unit/models/virtio/frames.hpp"
#include "unit/virtio/queue_fixture.hpp"

namespace pollux::drivers::virtio::test {
namespace {

using hw::virtio::Features;
using hw::virtio::NetHeader;
using models::virtio::PacketKind;

constexpr PacketKind kTcp4{};
constexpr PacketKind kTcp6{.ipv6 = true};
constexpr PacketKind kUdp4{.udp = true};
constexpr PacketKind kUdp6{.ipv6 = true, .udp = true};
constexpr std::size_t kDataBytes = 600;
constexpr std::uint16_t kSegment = 200;

/// What became of a frame.
struct Arrival {
  bool received = false;
  std::uint64_t bad_offload = 0;
  ChecksumStatus checksum = ChecksumStatus::unknown;
  bool has_hash = false;
  TxOffload request = {};
};

class RxHeader : public testing::TestWithParam<Features> {
 protected:
  /// A packet with this header arrives on a queue with these features, and then another frame, in bursts of at most
  /// `Limit`.
  template <std::uint32_t Limit = 4>
  static Arrival arrive(Features features, const PacketKind& kind, NetHeader header, std::uint16_t hash_report = 0) {
    header.num_buffers = 1;
    QueueFixture queue(GetParam() | feature::kMrgRxbuf | features);
    queue.start_rx();
    const models::virtio::Bytes packet = models::virtio::packet(kind, kDataBytes, true);
    const hw::virtio::NetHeaderWithHash all{.header = header, .hash_value = 7, .hash_report = hash_report};
    const std::size_t bytes = (features & feature::kHashReport) != 0 ? sizeof all : sizeof header;
    std::uint8_t* const buffer = queue.device->parts(0).front().address;
    std::memcpy(buffer, &all, bytes);
    std::memcpy(buffer + bytes, packet.data(), packet.size());
    queue.device->use(0, static_cast<std::uint32_t>(bytes + packet.size()));
    Burst<Limit> burst;
    Arrival arrival{.received = queue.rx.rx_burst(burst) == 1, .bad_offload = queue.dropped(&RxDrops::bad_offload)};
    for (const Mbuf& frame : burst) {
      arrival.checksum = RxMetadata(frame).l4_checksum();
      arrival.has_hash = RxMetadata(frame).rss_hash().has_value();
      arrival.request = frame.tx_offload();
    }
    burst.drop(queue.seen, queue.cache);
    queue.receive(1, 60);
    queue.device->show();
    EXPECT_EQ(queue.poll().size(), 1U) << "the queue goes on";
    return arrival;
  }
};

INSTANTIATE_TEST_SUITE_P(Formats, RxHeader, testing::ValuesIn(kFormats),
                         [](const auto& format) { return format.param == 0 ? "split" : "packed"; });

TEST_P(RxHeader, DataValidIsBelievedOnlyIfItWasNegotiated) {
  const NetHeader valid{.flags = VirtioNetHeader::kDataValid};
  for (const Features also : {Features{0}, feature::kHashReport}) {
    EXPECT_EQ(arrive(feature::kGuestCsum | also, kTcp4, valid).checksum, ChecksumStatus::good);
    EXPECT_EQ(arrive<1>(feature::kGuestCsum | also, kTcp4, valid).checksum, ChecksumStatus::good);
    for (const Arrival& arrival : {arrive(also, kTcp4, valid), arrive<1>(also, kTcp4, valid)}) {
      EXPECT_TRUE(arrival.received);
      EXPECT_EQ(arrival.checksum, ChecksumStatus::unknown);
    }
  }
}

TEST_P(RxHeader, APartialChecksumThatWasNotNegotiatedIsDropped) {
  EXPECT_EQ(arrive(feature::kGuestCsum, kTcp4, kTcp4.header()).checksum, ChecksumStatus::partial);
  const Arrival arrival = arrive(0, kTcp4, kTcp4.header());
  EXPECT_FALSE(arrival.received);
  EXPECT_EQ(arrival.bad_offload, 1U);
}

TEST_P(RxHeader, AFrameLeftUnsegmentedNeedsTheFeatureOfItsKind) {
  constexpr std::uint8_t kCwr = VirtioNetHeader::kWithCwr;
  struct Case {
    const char* name;
    PacketKind kind;
    std::uint8_t gso_type;
    Features needs;
    Features instead;  // other features, with which it is a lie
  };
  const Case cases[] = {
      {"TCP over IPv4", kTcp4, 1, feature::kGuestTso4, feature::kGuestTso6},
      {"TCP over IPv6", kTcp6, 4, feature::kGuestTso6, feature::kGuestTso4},
      {"UDP over IPv4", kUdp4, 5, feature::kGuestUso4, feature::kGuestUso6 | feature::kGuestTso4},
      {"UDP over IPv6", kUdp6, 5, feature::kGuestUso6, feature::kGuestUso4 | feature::kGuestTso6},
      {"with CWR", kTcp4, 1 | kCwr, feature::kGuestTso4 | feature::kGuestEcn, feature::kGuestTso4},
      {"no segmentation at all", kTcp4, 1, feature::kGuestTso4, 0},
  };
  for (const Case& one : cases) {
    SCOPED_TRACE(one.name);
    const NetHeader header = one.kind.header(one.gso_type, kSegment);
    const Arrival taken = arrive(feature::kGuestCsum | one.needs, one.kind, header);
    EXPECT_TRUE(taken.received);
    EXPECT_EQ(taken.request.segment_size, kSegment);
    EXPECT_EQ(taken.request.l4_offset(), one.kind.l4());
    const Arrival refused = arrive(feature::kGuestCsum | one.instead, one.kind, header);
    EXPECT_FALSE(refused.received);
    EXPECT_EQ(refused.bad_offload, 1U);
  }
}

TEST_P(RxHeader, AKindOfSegmentationThatIsNotTheFramesIsDropped) {
  constexpr Features kAll = feature::kGuestCsum | feature::kGuestTso4 | feature::kGuestTso6 | feature::kGuestEcn |
                            feature::kGuestUso4 | feature::kGuestUso6;
  constexpr std::uint8_t kFragments = 3;  // VIRTIO_NET_HDR_GSO_UDP
  constexpr std::uint8_t kUnknown = 6;
  struct Case {
    PacketKind kind;
    std::uint8_t gso_type;
  };
  for (const Case& one : {Case{kTcp6, 1}, Case{kTcp4, 4}, Case{kUdp4, 5 | VirtioNetHeader::kWithCwr},
                          Case{kTcp4, VirtioNetHeader::kWithCwr}, Case{kUdp4, kFragments}, Case{kTcp4, kUnknown}}) {
    SCOPED_TRACE(int{one.gso_type});
    const Arrival arrival = arrive(kAll, one.kind, one.kind.header(one.gso_type, kSegment));
    EXPECT_FALSE(arrival.received);
    EXPECT_EQ(arrival.bad_offload, 1U);
  }
}

// 5.1.6.4.2: "hdr_len" is a hint at most.
TEST_P(RxHeader, TheLengthOfTheHeadersIsNotTrusted) {
  NetHeader header = kTcp4.header(1, kSegment);
  const TxOffload right = arrive(feature::kGuestCsum | feature::kGuestTso4, kTcp4, header).request;
  EXPECT_EQ(right.l4, 20U);
  for (const std::uint16_t length : {std::uint16_t{0}, std::uint16_t{1}, std::uint16_t{0xFFFF}}) {
    header.header_length = length;
    const Arrival arrival = arrive(feature::kGuestCsum | feature::kGuestTso4, kTcp4, header);
    EXPECT_TRUE(arrival.received) << length;
    EXPECT_EQ(arrival.request, right) << length;
  }
}

TEST_P(RxHeader, AChecksumOutsideOfThePacketIsDropped) {
  const auto bytes = static_cast<std::uint16_t>(kTcp4.payload() + kDataBytes);
  struct Place {
    std::uint16_t start;
    std::uint16_t offset;
  };
  for (const Place& place : {Place{static_cast<std::uint16_t>(bytes - 1), 0}, Place{34, bytes}, Place{bytes, 0xFFFF},
                             Place{0xFFFF, 0xFFFF}, Place{0, 0}, Place{0, 16}, Place{13, 16}}) {
    const NetHeader header{.flags = 1, .checksum_start = place.start, .checksum_offset = place.offset};
    const Arrival arrival = arrive(feature::kGuestCsum, kTcp4, header);
    EXPECT_FALSE(arrival.received) << place.start << " " << place.offset;
    EXPECT_EQ(arrival.bad_offload, 1U);
  }
}

// 5.1.6.4.2: flags that the driver does not know are ignored, and so is where a checksum is, if none is requested.
TEST_P(RxHeader, UnknownFlagsAreIgnored) {
  const NetHeader header{.flags = 0xFC, .checksum_start = 0xFFFF, .checksum_offset = 0xFFFF};
  const Arrival arrival = arrive(feature::kGuestCsum, kTcp4, header);
  EXPECT_TRUE(arrival.received);
  EXPECT_EQ(arrival.checksum, ChecksumStatus::unknown);
  EXPECT_EQ(arrival.request.flags, 0U);
}

TEST_P(RxHeader, AHashOfAnUnknownKindIsNoHash) {
  for (const std::uint16_t report : {std::uint16_t{0}, std::uint16_t{10}, std::uint16_t{0xFFFF}}) {
    EXPECT_FALSE(arrive(feature::kHashReport, kTcp4, {}, report).has_hash) << report;
  }
  EXPECT_TRUE(arrive(feature::kHashReport, kTcp4, {}, hw::virtio::kMaxHashReport).has_hash);
}

}  // namespace
}  // namespace pollux::drivers::virtio::test
