// SPDX-License-Identifier: BSD-3-Clause
// Compares packet type, hash and checksum status with known values from Microsoft's suite and the tests of the cards.
#include "pollux/net/packet/classify.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "support/flows.hpp"
#include "support/routed_frames.hpp"
#include "support/various_frames.hpp"
#include "unit/mem/pool_fixture.hpp"

namespace pollux::packet {
namespace {

std::span<const std::uint8_t> octets(const test::KnownFrame& frame) {
  return {reinterpret_cast<const std::uint8_t*>(frame.bytes.data()), frame.bytes.size()};
}

class Classify : public testing::Test {
 protected:
  /// The frame in mbufs of `piece` bytes each.
  [[nodiscard]] MbufPtr chain(std::span<const std::uint8_t> bytes, std::size_t piece) {
    MbufPtr first = pool_.allocate();
    for (MbufPtr* mbuf = &first; !bytes.empty();) {
      const std::size_t now = std::min(piece, bytes.size());
      std::memcpy((*mbuf)->append(static_cast<std::uint32_t>(now)), bytes.data(), now);
      bytes = bytes.subspan(now);
      if (mbuf != &first) {
        EXPECT_TRUE(first->chain(next_));
      }
      if (bytes.empty()) break;
      next_ = pool_.allocate();
      mbuf = &next_;
    }
    return first;
  }

  test::PoolFixture fixture_;
  Mempool pool_ = fixture_.pool({.count = 512, .data_room = 2048, .headroom = 0});
  MbufPtr next_;
  const ToeplitzHash hash_;
};

TEST_F(Classify, ReportsTheKnownMetadataOfKnownFrames) {
  auto frames = test::known_frames();
  for (test::KnownFrame& frame : test::known_sctp_frames()) {
    // Software knows the status that a card reports wrongly (E-SCTP60).
    if (frame.l4 == ChecksumStatus::unknown) frame.l4 = ChecksumStatus::bad;
    frames.push_back(frame);
  }
  ASSERT_GT(frames.size(), 50U);
  for (const test::KnownFrame& frame : frames) {
    const Layout layout = parse(octets(frame));
    EXPECT_EQ(layout.type.bits, frame.type.bits) << frame.name;
    EXPECT_EQ(rss_hash(hash_, octets(frame), layout), frame.hash) << frame.name;
    EXPECT_EQ(ip_checksum(octets(frame), layout), frame.ip) << frame.name;
    EXPECT_EQ(l4_checksum(octets(frame), layout), frame.l4) << frame.name;
  }
}

TEST_F(Classify, IsReadBackFromAnMbuf) {
  for (const test::KnownFrame& frame : test::known_frames()) {
    const MbufPtr mbuf = chain(octets(frame), frame.bytes.size());
    classify(hash_, *mbuf, parse(*mbuf)).attach_to(*mbuf);
    test::expect_metadata(*mbuf, frame);
  }
}

TEST_F(Classify, HashesUdpPortsOnlyOnRequest) {
  const test::KnownFrame tcp = test::known_frames().front();
  std::vector<std::uint8_t> udp(octets(tcp).begin(), octets(tcp).end());
  udp[23] = 17;
  udp[38] = 0;
  udp[39] = 30;
  const Layout layout = parse(udp);
  ASSERT_TRUE(layout.type.has(PacketType::udp));
  EXPECT_EQ(rss_hash(hash_, udp, layout), 0x323e8fc2U);
  EXPECT_EQ(rss_hash(hash_, udp, layout, {.udp_ports = true}), 0x51ccc178U);
  EXPECT_EQ(rss_hash(hash_, octets(tcp), parse(octets(tcp)), {.tcp_ports = false}), 0x323e8fc2U);
}

TEST_F(Classify, HashesTheVerificationSuiteByTheEnabledTypes) {
  constexpr std::uint32_t kAddresses = RssTypes::ipv4 | RssTypes::ipv6;
  for (const test::KnownFrame& frame : test::known_frames()) {
    const Layout layout = parse(octets(frame));
    EXPECT_EQ(rss_hash(hash_, octets(frame), layout, RssTypes{RssTypes::kAll}), frame.full_hash) << frame.name;
    EXPECT_EQ(rss_hash(hash_, octets(frame), layout, RssTypes{}), frame.hash) << frame.name;
    EXPECT_EQ(rss_hash(hash_, octets(frame), layout, RssTypes{0}), std::nullopt) << frame.name;
    const auto addresses = rss_hash(hash_, octets(frame), layout, RssTypes{kAddresses});
    if (!layout.type.has(PacketType::tcp))
      EXPECT_EQ(addresses, frame.hash) << frame.name;
    else
      EXPECT_NE(addresses, frame.hash) << frame.name;
  }
}

TEST_F(Classify, HashesExtensionHeadersOfIpv6OnlyByAddress) {
  for (const test::NamedFrame& frame : test::various_frames()) {
    const Layout layout = parse(frame.bytes);
    if (!layout.type.has(PacketType::ipv6_extensions)) continue;
    EXPECT_EQ(rss_hash(hash_, frame.bytes, layout, RssTypes{RssTypes::kAll & ~RssTypes::ipv6}), std::nullopt);
    EXPECT_EQ(rss_hash(hash_, frame.bytes, layout, RssTypes{RssTypes::kAll}),
              rss_hash(hash_, frame.bytes, layout, {.tcp_ports = false}));
  }
}

TEST_F(Classify, DoesNotDependOnTheSegmentsOfAChain) {
  const auto compare = [&](std::span<const std::uint8_t> bytes, const std::string& name) {
    const Layout layout = parse(bytes);
    for (const std::size_t piece : {1U, 7U, 14U, 34U, 35U, 60U}) {
      if (bytes.size() > piece * 200) continue;  // an mbuf has 255 segments at most
      const MbufPtr mbuf = chain(bytes, piece);
      const Layout in_pieces = parse(*mbuf);
      EXPECT_EQ(in_pieces.type.bits, layout.type.bits) << name << " by " << piece;
      EXPECT_EQ(in_pieces.l4, layout.l4) << name << " by " << piece;
      EXPECT_EQ(in_pieces.payload, layout.payload) << name << " by " << piece;
      EXPECT_EQ(in_pieces.end, layout.end) << name << " by " << piece;
      EXPECT_EQ(in_pieces.malformed, layout.malformed) << name << " by " << piece;
      EXPECT_EQ(in_pieces.truncated, layout.truncated) << name << " by " << piece;
      EXPECT_EQ(rss_hash(hash_, *mbuf, layout), rss_hash(hash_, bytes, layout)) << name << " by " << piece;
      EXPECT_EQ(ip_checksum(*mbuf, layout), ip_checksum(bytes, layout)) << name << " by " << piece;
      EXPECT_EQ(l4_checksum(*mbuf, layout), l4_checksum(bytes, layout)) << name << " by " << piece;
    }
  };
  for (const test::KnownFrame& frame : test::known_frames()) compare(octets(frame), frame.name);
  for (const test::KnownFrame& frame : test::known_sctp_frames()) compare(octets(frame), frame.name);
  for (const test::NamedFrame& frame : test::various_frames()) compare(frame.bytes, frame.name);
}

// All frames that were built with correct checksums.
TEST_F(Classify, FindsGoodChecksumsInBuiltFrames) {
  for (const test::NamedFrame& frame : test::various_frames()) {
    if (frame.name.starts_with("odd ")) continue;
    const Layout layout = parse(frame.bytes);
    const bool has_ip = layout.type.has(PacketType::ipv4);
    EXPECT_EQ(ip_checksum(frame.bytes, layout), has_ip ? ChecksumStatus::good : ChecksumStatus::unknown) << frame.name;
    const bool has_l4 =
        layout.type.has(PacketType::tcp) || layout.type.has(PacketType::udp) || layout.type.has(PacketType::sctp);
    EXPECT_EQ(l4_checksum(frame.bytes, layout), has_l4 ? ChecksumStatus::good : ChecksumStatus::unknown) << frame.name;
  }
}

TEST_F(Classify, ChecksTheAddressesAndBytesThatAChecksumCovers) {
  for (const test::RoutedFrame& frame : test::routed_frames()) {
    const Layout layout = parse(frame.bytes);
    ASSERT_EQ(layout.l3_length(), frame.l3) << frame.name;
    EXPECT_EQ(layout.payload_length(), 19) << frame.name << ": what follows a datagram is not its payload";
    EXPECT_EQ(l4_checksum(frame.bytes, layout), ChecksumStatus::good) << frame.name;
    EXPECT_EQ(l4_checksum(*chain(frame.bytes, 50), layout), ChecksumStatus::good) << frame.name;
    auto corrupted = frame.bytes;
    corrupted.back() ^= 1;
    EXPECT_EQ(l4_checksum(corrupted, layout), frame.has_surplus() ? ChecksumStatus::good : ChecksumStatus::bad)
        << frame.name;
    const auto places = pseudo_header_places(frame.bytes, layout);
    ASSERT_TRUE(places) << frame.name;
    std::vector<std::uint8_t> addresses;
    for (const std::size_t at : {places->source, places->destination}) {
      const auto from = frame.bytes.begin() + static_cast<std::ptrdiff_t>(at);
      addresses.insert(addresses.end(), from, from + places->bytes);
    }
    EXPECT_EQ(addresses, frame.addresses) << frame.name;
  }
}

TEST_F(Classify, ReadsTheLastOptionOfADestinationHeader) {
  auto bytes = test::routed_frames()[5].bytes;
  constexpr std::size_t kOptions = 14 + 40 + 2;  // 4 bytes of padding, then the home address
  std::copy_n(bytes.begin() + kOptions + 4, 18, bytes.begin() + kOptions);
  for (const std::size_t at : {kOptions + 18, kOptions + 20}) {
    bytes[at] = 1;  // PadN
    bytes[at + 1] = 0;
  }
  EXPECT_EQ(l4_checksum(bytes, parse(bytes)), ChecksumStatus::good);
}

TEST_F(Classify, ChecksNothingBehindHeadersThatItDoesNotUnderstand) {
  const auto frames = test::routed_frames();
  struct Change {
    std::size_t frame;
    std::size_t at;
    std::uint8_t value;
    const char* what;
  };
  const auto offset = [](std::size_t in_ip) { return 14 + in_ip; };
  for (const Change& one :
       {Change{0, offset(42), 3, "an unknown type of routing header"},
        Change{0, offset(43), 3, "more segments left than there are"},
        Change{0, offset(44), 2, "a last entry behind the list"},
        Change{2, offset(43), 3, "more addresses left than there are"},
        Change{5, offset(47), 8, "a home address of 8 bytes"}, Change{5, offset(43), 60, "an option beyond its header"},
        Change{7, offset(21), 1, "an IPv4 option of one byte"},
        Change{7, offset(21), 11, "an IPv4 option beyond the header"},
        Change{7, offset(22), 3, "a pointer before the first address"},
        Change{10, offset(25), 7, "a datagram shorter than its header"},
        Change{10, offset(25), 200, "a datagram longer than its packet"}}) {
    auto bytes = frames[one.frame].bytes;
    ASSERT_NE(bytes[one.at], one.value) << one.what;
    bytes[one.at] = one.value;
    const Layout layout = parse(bytes);
    ASSERT_NE(layout.l4, 0) << one.what;
    EXPECT_EQ(l4_checksum(bytes, layout), ChecksumStatus::unknown) << one.what;
    const bool is_length = one.frame == 10;
    EXPECT_EQ(pseudo_header_places(bytes, layout).has_value(), is_length) << one.what;
  }
}

}  // namespace
}  // namespace pollux::packet
