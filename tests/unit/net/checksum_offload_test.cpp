// SPDX-License-Identifier: BSD-3-Clause
// Requested checksums are the same as those that scapy computes, for any segments of the frame.
#include "pollux/net/checksum_offload.hpp"

#include <algorithm>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "net/checksums.hpp"
#include "pollux/net/packet/sums.hpp"
#include "support/chain.hpp"
#include "support/hex.hpp"
#include "support/routed_frames.hpp"
#include "unit/mem/pool_fixture.hpp"

namespace pollux {
namespace {

using Bytes = std::vector<std::uint8_t>;

/// A frame that scapy 2.5.0 built, and the request for its checksums.
struct Known {
  const char* name;
  const char* hex;
  TxOffload request;
};
std::ostream& operator<<(std::ostream& out, const Known& known) { return out << known.name; }

constexpr std::uint32_t kIpv4 = TxOffload::ipv4_checksum;
const Known kTcp4{"TCP over IPv4",
                  "02000000000202000000000108004500004300070000400666ac0a0000010a00000203e807d000000063000000005002"
                  "2000cb7e000078797a78797a78797a78797a78797a78797a78797a78797a78797a",
                  {.flags = kIpv4 | TxOffload::tcp_checksum, .l2 = 14, .l3 = 20}};
const Known kUdp4{"UDP over IPv4, an odd number of bytes",
                  "02000000000202000000000108004500003100070000401166b30a0000010a00000203e807d0001da83a78797a78797a"
                  "78797a78797a78797a78797a78797a",
                  {.flags = kIpv4 | TxOffload::udp_checksum, .l2 = 14, .l3 = 20}};
const Known kTcp6{"TCP over IPv6",
                  "02000000000202000000000186dd60000000003c064020010db800000000000000000000000120010db8000000000000"
                  "00000000000203e807d00000006300000000500220004b4e000071717171717171717171717171717171717171717171"
                  "717171717171717171717171717171717171",
                  {.flags = TxOffload::tcp_checksum, .l2 = 14, .l3 = 40}};
const Known kUdp6{"UDP over IPv6",
                  "02000000000202000000000186dd600000000015114020010db800000000000000000000000120010db8000000000000"
                  "00000000000203e807d000157eee71717171717171717171717171",
                  {.flags = TxOffload::udp_checksum, .l2 = 14, .l3 = 40}};
const Known kSctp4{"SCTP over IPv4",
                   "02000000000202000000000108004500003800070000408466390a0000010a00000203e807d0000000059f5c3c9b0000"
                   "00150000000100000000000000006461746121000000",
                   {.flags = kIpv4 | TxOffload::sctp_checksum, .l2 = 14, .l3 = 20}};
const Known kSctp6{"SCTP over IPv6",
                   "02000000000202000000000186dd600000000024844020010db800000000000000000000000120010db8000000000000"
                   "00000000000203e807d0000000056c26b630000000180000000100000000000000006461746121212121",
                   {.flags = TxOffload::sctp_checksum, .l2 = 14, .l3 = 40}};
const Known kTagged{"a VLAN tag and options of IPv4 and TCP",
                    "02000000000202000000000181000005080046000034000700004006d1b60a0000010a0000029404000003e807d00000"
                    "0000000000006002200074840000020405b46f707473",
                    {.flags = kIpv4 | TxOffload::tcp_checksum, .l2 = 18, .l3 = 24}};
const Known kZero{"a UDP checksum of 0, which is sent as 0xFFFF",
                  "02000000000202000000000108004500002000070000401166c40a0000010a000002f72e07d0000cffff7a65726f",
                  {.flags = kIpv4 | TxOffload::udp_checksum, .l2 = 14, .l3 = 20}};
const Known kTunnel{"TCP in VXLAN",
                    "02000000000202000000000108004500005f000100004011f689c0000201c0000202c35012b5004b0000080000000000"
                    "070002000000000202000000000108004500002d00070000400666c20a0000010a000002000100020000000000000000"
                    "5002200032040000696e6e6572",
                    {.flags = kIpv4 | TxOffload::tcp_checksum, .l2 = 30, .l3 = 20, .outer_l2 = 14, .outer_l3 = 20}};

const std::vector<Known> kKnown{kTcp4, kUdp4, kTcp6, kUdp6, kSctp4, kSctp6, kTagged, kZero, kTunnel};

/// The frame with wrong bytes in its checksum fields.
Bytes corrupted(const Known& known) {
  Bytes frame = test::bytes_of_hex(known.hex);
  const auto put = [&frame](std::size_t at, std::size_t bytes) { std::fill_n(&frame.at(at), bytes, 0xA5); };
  const TxOffload& request = known.request;
  if ((request.flags & kIpv4) != 0) put(request.l3_offset() + 10, 2);
  if ((request.flags & TxOffload::tcp_checksum) != 0) put(request.l4_offset() + 16, 2);
  if ((request.flags & TxOffload::udp_checksum) != 0) put(request.l4_offset() + 6, 2);
  if ((request.flags & TxOffload::sctp_checksum) != 0) put(request.l4_offset() + 8, 4);
  return frame;
}

class ChecksumOffload : public testing::Test {
 protected:
  /// The frame as a chain: the first mbuf holds `first` bytes, the others `step` bytes each.
  [[nodiscard]] MbufPtr make(const Bytes& bytes, std::size_t first = 2048, std::size_t step = 2048) {
    return test::make_chain(cache_, bytes, first, step);
  }
  [[nodiscard]] static Bytes content(const Mbuf& mbuf) {
    Bytes bytes(mbuf.packet_length());
    EXPECT_EQ(mbuf.copy_out(0, bytes), bytes.size());
    return bytes;
  }

  test::PoolFixture fixture_;
  Mempool pool_ = fixture_.pool({.count = 256});
  MempoolCache cache_{pool_};
};

TEST_F(ChecksumOffload, AgreesWithScapy) {
  for (const Known& known : kKnown) {
    const Bytes right = test::bytes_of_hex(known.hex);
    MbufPtr frame = make(corrupted(known));
    ASSERT_NE(content(*frame), right) << known;
    ASSERT_TRUE(request_checksums(*frame, known.request)) << known;
    EXPECT_EQ(frame->tx_offload(), known.request) << known;
    EXPECT_TRUE(frame->has_partial_checksum()) << known;
    EXPECT_NE(content(*frame), right) << known;
    EXPECT_EQ(complete_checksums(*frame), ChecksumCompletion::complete) << known;
    EXPECT_EQ(content(*frame), right) << known;
    EXPECT_EQ(frame->tx_offload(), TxOffload()) << known;
  }
}

TEST_F(ChecksumOffload, DoesNotDependOnTheSegments) {
  for (const Known& known : kKnown) {
    const Bytes right = test::bytes_of_hex(known.hex);
    for (std::size_t first = 1; first < right.size(); ++first) {
      for (const std::size_t step : {std::size_t{1}, std::size_t{7}, std::size_t{2048}}) {
        MbufPtr frame = make(corrupted(known), first, step);
        ASSERT_TRUE(request_checksums(*frame, known.request));
        ASSERT_EQ(complete_checksums(*frame), ChecksumCompletion::complete);
        ASSERT_EQ(content(*frame), right) << known << " cut after " << first << " bytes, then " << step;
      }
    }
  }
}

TEST_F(ChecksumOffload, AContiguousCopyGetsTheSameChecksums) {
  for (const Known& known : kKnown) {
    MbufPtr frame = make(corrupted(known), 20, 9);
    ASSERT_TRUE(request_checksums(*frame, known.request));
    EXPECT_TRUE(checksums_fit(*frame)) << known;
    Bytes copy = content(*frame);
    complete_checksums_in(copy, known.request);
    EXPECT_EQ(copy, test::bytes_of_hex(known.hex)) << known;
  }
}

TEST_F(ChecksumOffload, IgnoresThePaddingOfAnEthernetFrame) {
  for (const Known& known : {kUdp4, kTcp6, kSctp4, kSctp6, kTunnel}) {
    Bytes padded = corrupted(known);
    Bytes right = test::bytes_of_hex(known.hex);
    for (Bytes* bytes : {&padded, &right}) bytes->insert(bytes->end(), 9, 0x5A);
    MbufPtr frame = make(padded);
    ASSERT_TRUE(request_checksums(*frame, known.request));
    ASSERT_EQ(complete_checksums(*frame), ChecksumCompletion::complete);
    EXPECT_EQ(content(*frame), right) << known;
  }
}

TEST_F(ChecksumOffload, CoversTheAddressesAndBytesOfTheProtocol) {
  for (const test::RoutedFrame& known : test::routed_frames()) {
    const TxOffload request{
        .flags = known.is_tcp ? TxOffload::tcp_checksum : TxOffload::udp_checksum, .l2 = 14, .l3 = known.l3};
    Bytes wrong = known.bytes;
    std::fill_n(&wrong.at(known.checksum_at()), 2, std::uint8_t{0xA5});
    for (const std::size_t first : {std::size_t{1}, std::size_t{30}, std::size_t{61}, std::size_t{2048}}) {
      MbufPtr frame = make(wrong, first, 11);
      ASSERT_TRUE(request_checksums(*frame, request)) << known.name;
      // A port may not look at the headers of a request that it has seen before.
      EXPECT_EQ(frame->has_partial_checksum(), known.own_addresses && !known.has_surplus()) << known.name;
      ASSERT_EQ(complete_checksums(*frame), ChecksumCompletion::complete) << known.name;
      EXPECT_EQ(content(*frame), known.bytes) << known.name;
    }
  }
}

TEST_F(ChecksumOffload, RefusesWhatItDoesNotUnderstand) {
  const auto refused = [&](Bytes bytes, const TxOffload& request) {
    MbufPtr frame = make(bytes);
    const bool is_refused = !request_checksums(*frame, request);
    EXPECT_EQ(content(*frame) == bytes, is_refused);
    return is_refused;
  };
  const auto changed = [](const Known& known, std::initializer_list<std::pair<std::size_t, std::uint8_t>> changes) {
    Bytes bytes = corrupted(known);
    for (const auto& [at, value] : changes) bytes.at(at) = value;
    return bytes;
  };
  EXPECT_TRUE(refused(changed(kTcp4, {{20, 0x20}}), kTcp4.request)) << "a first fragment";
  EXPECT_TRUE(refused(changed(kSctp4, {{21, 1}}), kSctp4.request)) << "a later fragment";
  EXPECT_FALSE(refused(changed(kTcp4, {{20, 0x20}}), {.flags = kIpv4, .l2 = 14, .l3 = 20})) << "its IP header alone";
  EXPECT_TRUE(refused(changed(kUdp4, {{39, 7}}), kUdp4.request)) << "a datagram shorter than its header";
  EXPECT_TRUE(refused(changed(kUdp4, {{39, 30}}), kUdp4.request)) << "a datagram longer than its packet";
  const auto with_extension = [&](std::uint8_t kind, std::initializer_list<std::uint8_t> header) {
    Bytes bytes = corrupted(kTcp6);
    bytes[20] = kind;
    bytes[19] = static_cast<std::uint8_t>(bytes[19] + header.size());
    bytes.insert(bytes.begin() + 54, header);
    return refused(bytes,
                   {.flags = TxOffload::tcp_checksum, .l2 = 14, .l3 = static_cast<std::uint16_t>(40 + header.size())});
  };
  EXPECT_FALSE(with_extension(60, {6, 0, 1, 4, 0, 0, 0, 0})) << "destination options";
  EXPECT_FALSE(with_extension(44, {6, 0, 0, 0, 0, 0, 0, 9})) << "an atomic fragment";
  EXPECT_TRUE(with_extension(44, {6, 0, 0, 1, 0, 0, 0, 9})) << "a first fragment";
  EXPECT_TRUE(with_extension(51, {6, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1})) << "an authentication header";
  EXPECT_TRUE(with_extension(139, {6, 0, 0, 0, 0, 0, 0, 0})) << "HIP";
  EXPECT_TRUE(with_extension(60, {6, 1, 1, 4, 0, 0, 0, 0})) << "longer than the request says";
}

// A queue may send a frame that repeats an earlier request without a look at its headers.
TEST_F(ChecksumOffload, LeavesOnlyWhatCardsReadAlike) {
  const auto is_left = [&](const Bytes& tags, std::uint16_t type) {
    Bytes bytes = test::bytes_of_hex(kUdp4.hex);
    const Bytes right = bytes;
    bytes.insert(bytes.begin() + 12, tags.begin(), tags.end());
    bytes[12 + tags.size()] = static_cast<std::uint8_t>(type >> 8);
    bytes[13 + tags.size()] = static_cast<std::uint8_t>(type);
    const auto more = static_cast<std::uint16_t>(tags.size());
    MbufPtr frame = make(bytes);
    EXPECT_TRUE(request_checksums(
        *frame, {.flags = kUdp4.request.flags, .l2 = static_cast<std::uint16_t>(14 + more), .l3 = 20}));
    const bool left = frame->has_partial_checksum();
    EXPECT_EQ(complete_checksums(*frame), ChecksumCompletion::complete);
    EXPECT_EQ(content(*frame), bytes) << "the checksum is right, wherever it is computed";
    return left;
  };
  constexpr std::uint16_t kIp = 0x0800;
  EXPECT_TRUE(is_left({}, kIp));
  EXPECT_TRUE(is_left({0x81, 0, 0, 5}, kIp));
  EXPECT_TRUE(is_left({0x88, 0xA8, 0, 5}, kIp));
  EXPECT_TRUE(is_left({0x88, 0xA8, 0, 5, 0x81, 0, 0, 6}, kIp));
  EXPECT_FALSE(is_left({0x81, 0, 0, 5, 0x81, 0, 0, 6}, kIp));
  EXPECT_FALSE(is_left({0x88, 0xA8, 0, 5, 0x88, 0xA8, 0, 6}, kIp));
  EXPECT_FALSE(is_left({0x81, 0, 0, 5, 0x88, 0xA8, 0, 6}, kIp));
  EXPECT_FALSE(is_left({0x91, 0, 0, 5}, kIp));
  EXPECT_FALSE(is_left({0x88, 0xA8, 0, 4, 0x81, 0, 0, 5, 0x81, 0, 0, 6}, kIp));
  EXPECT_FALSE(is_left({}, 0x88B5)) << "no EtherType of IP";
  EXPECT_FALSE(is_left({0x88, 0x47, 0, 0}, 0x1140)) << "MPLS";
}

TEST_F(ChecksumOffload, KeepsTheRestOfARequest) {
  MbufPtr frame = make(corrupted(kTcp4));
  TxOffload request = kTcp4.request;
  request.flags |= TxOffload::insert_vlan;
  request.vlan = 5;
  ASSERT_TRUE(request_checksums(*frame, request));
  EXPECT_EQ(complete_checksums(*frame), ChecksumCompletion::complete);
  const TxOffload tag{.flags = TxOffload::insert_vlan, .vlan = 5};
  EXPECT_EQ(frame->tx_offload(), tag) << "the tag needs no lengths";
  EXPECT_FALSE(frame->has_partial_checksum());
  EXPECT_EQ(complete_checksums(*frame), ChecksumCompletion::complete) << "no checksum is left to compute";
  EXPECT_EQ(content(*frame), test::bytes_of_hex(kTcp4.hex));
}

TEST_F(ChecksumOffload, OmitsTheLengthFromThePseudoHeaderForSegmentation) {
  MbufPtr whole = make(corrupted(kTcp4));
  MbufPtr segmented = make(corrupted(kTcp4));
  TxOffload request = kTcp4.request;
  ASSERT_TRUE(request_checksums(*whole, request));
  request.flags = kIpv4 | TxOffload::tcp_segmentation;
  request.l4 = 20;
  ASSERT_TRUE(request_checksums(*segmented, request));
  const auto field = [](const Mbuf& mbuf) { return mbuf.data()[50] << 8 | mbuf.data()[51]; };
  EXPECT_EQ(field(*whole) - field(*segmented), 81 - 34) << "TCP's header and data";
}

TEST_F(ChecksumOffload, RejectsARequestThatDoesNotFit) {
  const Bytes bytes = corrupted(kTcp4);
  const auto expect_bad = [&](const TxOffload& request, const char* why) {
    MbufPtr frame = make(bytes);
    EXPECT_FALSE(request_checksums(*frame, request)) << why;
    EXPECT_EQ(frame->tx_offload(), TxOffload()) << why;
    frame->set_tx_offload(request);
    EXPECT_FALSE(checksums_fit(*frame)) << why;
    EXPECT_EQ(complete_checksums(*frame), ChecksumCompletion::bad_request) << why;
    EXPECT_EQ(content(*frame), bytes) << why;
    EXPECT_EQ(frame->tx_offload(), request) << why;
  };
  const std::uint32_t tcp = TxOffload::tcp_checksum;
  expect_bad({.flags = tcp, .l2 = 14, .l3 = 50}, "the field ends a byte after the frame");
  expect_bad({.flags = TxOffload::udp_checksum, .l2 = 14, .l3 = 60}, "the same of UDP");
  expect_bad({.flags = TxOffload::sctp_checksum, .l2 = 14, .l3 = 56}, "the same of SCTP");
  expect_bad({.flags = tcp, .l2 = 65535, .l3 = 65535, .outer_l2 = 65535, .outer_l3 = 65535}, "far after it");
  expect_bad({.flags = tcp | TxOffload::udp_checksum, .l2 = 14, .l3 = 20}, "two protocols");
  expect_bad({.flags = kIpv4, .l2 = 14, .l3 = 16}, "no header is that short");
  expect_bad({.flags = kIpv4, .l2 = 14, .l3 = 24}, "the header says another length");
  expect_bad({.flags = kIpv4, .l2 = 13, .l3 = 20}, "no header of version 4");
  expect_bad({.flags = kIpv4, .l2 = 70, .l3 = 20}, "the header ends after the frame");
  MbufPtr last = make(bytes);
  last->set_tx_offload({.flags = tcp, .l2 = 14, .l3 = 49});
  EXPECT_EQ(complete_checksums(*last), ChecksumCompletion::complete) << "the field ends with the frame";
}

TEST_F(ChecksumOffload, NeedsAnIpHeaderForAPseudoHeader) {
  Bytes bytes = corrupted(kTcp4);
  bytes[14] = 0x55;
  MbufPtr frame = make(bytes);
  EXPECT_FALSE(request_checksums(*frame, {.flags = TxOffload::tcp_checksum, .l2 = 14, .l3 = 20}));
  EXPECT_EQ(content(*frame), bytes);
}

// If the field already holds the sum of the pseudo-header, the headers before the transport header may be unknown.
TEST_F(ChecksumOffload, SumsToTheFramesEndWithoutAnIpLength) {
  Bytes bytes(40, 0);
  bytes[30 + 6] = 0x12;
  bytes[38] = 0x01;
  MbufPtr frame = make(bytes);
  frame->set_tx_offload({.flags = TxOffload::udp_checksum, .l2 = 30});
  ASSERT_EQ(complete_checksums(*frame), ChecksumCompletion::complete);
  EXPECT_EQ(frame->data()[36] << 8 | frame->data()[37], 0xFFFF & ~(0x1200 + 0x0100));
}

TEST_F(ChecksumOffload, WritesNoSharedBytes) {
  MbufPtr frame = make(corrupted(kTcp4), 30, 4);
  ASSERT_TRUE(request_checksums(*frame, kTcp4.request));
  const Bytes before = content(*frame);
  MbufPtr clone = frame->clone(cache_);
  ASSERT_NE(clone, nullptr);
  EXPECT_EQ(clone->tx_offload(), kTcp4.request);
  for (Mbuf* one : {frame.get(), clone.get()}) {
    EXPECT_EQ(complete_checksums(*one), ChecksumCompletion::shared_data);
    EXPECT_FALSE(request_checksums(*one, kTcp4.request));
    EXPECT_TRUE(one->has_partial_checksum());
    EXPECT_EQ(content(*one), before);
  }
  frame.reset();
  EXPECT_EQ(complete_checksums(*clone), ChecksumCompletion::complete) << "the clone is the last user";
  EXPECT_EQ(content(*clone), test::bytes_of_hex(kTcp4.hex));
}

TEST_F(ChecksumOffload, WritesNoExternalMemory) {
  auto memory = fixture_.context().allocate({.size = 4096});
  ASSERT_TRUE(memory);
  const Bytes bytes = corrupted(kTcp4);
  auto* const external = reinterpret_cast<std::uint8_t*>(memory->segments().front().address);
  std::copy(bytes.begin(), bytes.end(), external);
  MbufPtr frame = cache_.allocate();
  ASSERT_TRUE(frame->attach_external(*memory, 0, bytes.size(), nullptr, nullptr));
  frame->set_tx_offload(kTcp4.request);
  EXPECT_EQ(complete_checksums(*frame), ChecksumCompletion::shared_data);
  EXPECT_EQ(content(*frame), bytes);
  // The usual form: the application's own headers in front of the external data.
  MbufPtr headers = make(Bytes(bytes.begin(), bytes.begin() + 54));
  MbufPtr payload = cache_.allocate();
  ASSERT_TRUE(payload->attach_external(*memory, 54, bytes.size() - 54, nullptr, nullptr));
  ASSERT_TRUE(headers->chain(payload));
  ASSERT_TRUE(request_checksums(*headers, kTcp4.request));
  EXPECT_EQ(complete_checksums(*headers), ChecksumCompletion::complete);
  EXPECT_EQ(content(*headers), test::bytes_of_hex(kTcp4.hex));
}

TEST_F(ChecksumOffload, CompletesTheChecksumOfVirtioNet) {
  MbufPtr frame = make(corrupted(kUdp4), 41, 3);
  ASSERT_TRUE(request_checksums(*frame, {.flags = TxOffload::udp_checksum, .l2 = 14, .l3 = 20}));
  complete_internet_checksum(*frame, 34, 6);
  EXPECT_EQ(content(*frame)[40] << 8 | content(*frame)[41], 0xA83A);
}

// RFC 9260, appendix A, has no example; these are those of iSCSI for the same CRC (RFC 3720, B.4).
TEST(Crc32cTest, MatchesTheExamples) {
  const auto crc = [](const Bytes& bytes) {
    packet::Crc32c sum;
    sum.add(bytes);
    return sum.bytes();
  };
  using Four = std::array<std::uint8_t, 4>;
  EXPECT_EQ(crc(Bytes(32, 0)), (Four{0xAA, 0x36, 0x91, 0x8A}));
  EXPECT_EQ(crc(Bytes(32, 0xFF)), (Four{0x43, 0xAB, 0xA8, 0x62}));
  Bytes rising(32);
  for (std::size_t i = 0; i < rising.size(); ++i) rising[i] = static_cast<std::uint8_t>(i);
  EXPECT_EQ(crc(rising), (Four{0x4E, 0x79, 0xDD, 0x46}));
}

// RFC 1071, 3.
TEST(InternetSumTest, MatchesTheExampleInPiecesOfAnyLength) {
  const Bytes example{0x00, 0x01, 0xF2, 0x03, 0xF4, 0xF5, 0xF6, 0xF7};
  for (std::size_t first = 0; first <= example.size(); ++first) {
    for (std::size_t second = first; second <= example.size(); ++second) {
      packet::InternetSum sum;
      sum.add(std::span(example).first(first));
      sum.add(std::span(example).subspan(first, second - first));
      sum.add(std::span(example).subspan(second));
      EXPECT_EQ(sum.folded(), 0xDDF2) << first << ", " << second;
    }
  }
}

}  // namespace
}  // namespace pollux
