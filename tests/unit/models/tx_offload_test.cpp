// SPDX-License-Identifier: BSD-3-Clause
// Checksums and segments on transmit. Frames with whole checksums were made by scapy; the segments are compared with
// segments that this test makes itself.
#include "models/intel/igb/transmit.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string_view>

#include "models/intel/igb/frame.hpp"
#include "support/hex.hpp"
#include "unit/models/card_fixture.hpp"

namespace pollux::models::igb {
namespace {

namespace tx = intel::tx;
using Bytes = std::vector<std::byte>;

// scapy 2.5.0: Ether/IP or IPv6/TCP, UDP or SCTP with "x" * n as payload.
const Bytes kTcpOverIpv4 = test::bytes_of_hex<std::byte>(
    "02000082576002000000000108004500003c00070000400666b30a0000010a00000203e807d0000000630000000050102000baee0000787878"
    "7878787878787878787878787878787878");
const Bytes kUdpOverIpv4 = test::bytes_of_hex<std::byte>(
    "02000082576002000000000108004500003d123400004011547a0a0000010a00000203e807d00029e0597878787878787878"
    "78787878787878787878787878787878787878787878787878");
const Bytes kTcpOverIpv6 = test::bytes_of_hex<std::byte>(
    "02000082576002000000000186dd60000000001c0640fd000000000000000000000000000001fd00000000000000000000000000000203e807"
    "d0"
    "000000000000000050022000a83c00007878787878787878");
const Bytes kSctpOverIpv4 = test::bytes_of_hex<std::byte>(
    "02000082576002000000000108004500003c000100004084663b0a0000010a00000203e807d000000005f5ff58330000001c00000000000000"
    "00"
    "00000000787878787878787878787878");

std::size_t big16(const Bytes& bytes, std::size_t at) {
  return std::to_integer<std::size_t>(bytes[at]) << 8 | std::to_integer<std::size_t>(bytes[at + 1]);
}
void put16(Bytes& bytes, std::size_t at, std::size_t value) {
  bytes[at] = static_cast<std::byte>(value >> 8 & 0xFF);
  bytes[at + 1] = static_cast<std::byte>(value & 0xFF);
}
/// The sum of 16-bit words, byte by byte.
std::size_t sum_of(const Bytes& bytes, std::size_t from, std::size_t to, std::size_t sum = 0) {
  for (std::size_t i = from; i < to; ++i)
    sum += std::to_integer<std::size_t>(bytes[i]) << ((i - from) % 2 == 0 ? 8 : 0);
  while (sum > 0xFFFF) sum = (sum & 0xFFFF) + (sum >> 16);
  return sum;
}

/// The offsets of a frame's headers.
struct Layout {
  bool ipv4 = true;
  std::size_t mac = 14;
  std::size_t ip = 20;
  std::size_t l4 = 20;
  std::uint64_t type = tx::kContextTcp;

  [[nodiscard]] std::size_t l4_at() const { return mac + ip; }
  [[nodiscard]] std::size_t header() const { return mac + ip + l4; }
  [[nodiscard]] std::size_t checksum_at() const {
    return l4_at() + (type == tx::kContextTcp ? 16 : type == tx::kContextUdp ? 6 : 8);
  }
  [[nodiscard]] std::size_t pseudo_sum(const Bytes& frame, std::size_t length) const {
    const std::size_t addresses = mac + (ipv4 ? 12 : 8);
    return sum_of(frame, addresses, addresses + (ipv4 ? 8 : 32), length + (type == tx::kContextTcp ? 6 : 17));
  }
  [[nodiscard]] tx::Context context(std::size_t mss = 0, std::uint32_t index = 0) const {
    return {.mac_length = static_cast<std::uint8_t>(mac),
            .ip_length = static_cast<std::uint16_t>(ip),
            .l4_length = static_cast<std::uint8_t>(l4),
            .mss = static_cast<std::uint16_t>(mss),
            .kind = type | (ipv4 ? tx::kContextIpv4 : 0),
            .index = index};
  }
};
constexpr Layout kTcp4{};
constexpr Layout kUdp4{.l4 = 8, .type = tx::kContextUdp};
constexpr Layout kSctp4{.l4 = 12, .type = tx::kContextSctp};
constexpr Layout kTcp6{.ipv4 = false, .ip = 40};

/// The segments of a request, by a simple implementation.
std::vector<Bytes> segments_of(const Bytes& request, const Layout& layout, std::size_t mss) {
  std::vector<Bytes> all;
  for (std::size_t from = layout.header(); from < request.size(); from += mss) {
    const std::size_t to = std::min(from + mss, request.size());
    Bytes one(request.begin(), request.begin() + static_cast<std::ptrdiff_t>(layout.header()));
    one.insert(one.end(), request.begin() + static_cast<std::ptrdiff_t>(from),
               request.begin() + static_cast<std::ptrdiff_t>(to));
    const std::size_t l4_bytes = one.size() - layout.l4_at();
    if (layout.ipv4) {
      put16(one, layout.mac + 2, layout.ip + l4_bytes);
      put16(one, layout.mac + 4, (big16(request, layout.mac + 4) + all.size()) & 0xFFFF);
      put16(one, layout.mac + 10, 0);
      put16(one, layout.mac + 10, ~sum_of(one, layout.mac, layout.l4_at()) & 0xFFFF);
    } else {
      put16(one, layout.mac + 4, layout.ip - 40 + l4_bytes);
    }
    if (layout.type == tx::kContextTcp) {
      const std::size_t at = layout.l4_at() + 4;
      const std::size_t sequence = (big16(request, at) << 16 | big16(request, at + 2)) + (from - layout.header());
      put16(one, at, sequence >> 16 & 0xFFFF);
      put16(one, at + 2, sequence & 0xFFFF);
      if (to != request.size()) one[layout.l4_at() + 13] &= ~std::byte{0x09};
      if (from != layout.header()) one[layout.l4_at() + 13] &= ~std::byte{0x80};  // RFC 3168, 6.1.2
    } else {
      put16(one, layout.l4_at() + 4, l4_bytes);
    }
    put16(one, layout.checksum_at(), 0);
    std::size_t sum = ~sum_of(one, layout.l4_at(), one.size(), layout.pseudo_sum(one, l4_bytes)) & 0xFFFF;
    if (sum == 0 && layout.type == tx::kContextUdp) sum = 0xFFFF;
    put16(one, layout.checksum_at(), sum);
    all.push_back(std::move(one));
  }
  return all;
}

/// A request with `payload` bytes behind the headers of `sample`, as Linux prepares it (igb_main.c, igb_tso).
Bytes request_of(const Bytes& sample, const Layout& layout, std::size_t payload) {
  Bytes request(sample.begin(), sample.begin() + static_cast<std::ptrdiff_t>(layout.header()));
  for (std::size_t i = 0; i < payload; ++i) request.push_back(static_cast<std::byte>(i * 31 + i / 251));
  if (layout.ipv4) {
    put16(request, layout.mac + 2, 0);
    put16(request, layout.mac + 10, 0xFFFF);  // counts as 0
  }
  put16(request, layout.checksum_at(), layout.pseudo_sum(request, 0));
  return request;
}

class CardOffloads : public testing::Test {
 protected:
  static constexpr std::uint64_t kData = TestMemory::kBase + 0x40000;
  static constexpr std::uint64_t kChecksums = tx::kInsertIpChecksum | tx::kInsertL4Checksum;

  void SetUp() override {
    fixture.link_up();
    fixture.start_tx();
  }
  void post(const intel::Descriptor& descriptor) {
    fixture.memory.descriptor(CardFixture::kTxRing, tail) = descriptor;
    tail = (tail + 1) % CardFixture::kSlots;
  }
  void ring() { fixture.write<hw::TDT>(0, hw::TDT::TAIL(tail)); }
  /// Posts a request in buffers of at most `buffer` bytes. `payload` is PAYLEN.
  void post_request(const Bytes& bytes, std::size_t payload, std::uint64_t flags, std::size_t buffer = 60000) {
    std::memcpy(fixture.memory.at(kData), bytes.data(), bytes.size());
    for (std::size_t at = 0; at < bytes.size(); at += buffer) {
      const std::size_t count = std::min(buffer, bytes.size() - at);
      const bool last = at + count == bytes.size();
      post(tx::data(kData + at, static_cast<std::uint32_t>(count), static_cast<std::uint32_t>(payload),
                    flags | (last ? tx::kEndOfPacket | tx::kReportStatus : 0)));
    }
    ring();
  }
  void send_whole(const Bytes& bytes, const Layout& layout, std::uint64_t flags) {
    post(tx::context(layout.context()));
    post_request(bytes, bytes.size(), flags);
  }
  void segment(const Bytes& request, const Layout& layout, std::size_t mss, std::uint64_t flags = 0,
               std::size_t buffer = 60000) {
    post(tx::context(layout.context(mss)));
    post_request(request, request.size() - layout.header(), tx::kSegment | kChecksums | flags, buffer);
  }
  [[nodiscard]] std::uint64_t bad() { return fixture.card.transmitter().losses().bad_offload; }

  CardFixture fixture;
  std::uint32_t tail = 0;
};

TEST_F(CardOffloads, InsertChecksumsLikeScapy) {
  struct Case {
    const Bytes& frame;
    const Layout& layout;
  };
  for (const auto& [frame, layout] :
       {Case{kTcpOverIpv4, kTcp4}, Case{kUdpOverIpv4, kUdp4}, Case{kTcpOverIpv6, kTcp6}, Case{kSctpOverIpv4, kSctp4}}) {
    Bytes open = frame;
    if (layout.ipv4) put16(open, layout.mac + 10, 0);
    const bool sctp = layout.type == tx::kContextSctp;
    put16(open, layout.checksum_at(), sctp ? 0xDEAD : layout.pseudo_sum(open, frame.size() - layout.l4_at()));
    send_whole(open, layout, layout.ipv4 ? kChecksums : tx::kInsertL4Checksum);
    ASSERT_FALSE(fixture.sent.empty());
    EXPECT_EQ(fixture.sent.back(), frame);
  }
  EXPECT_EQ(fixture.sent.size(), 4u);
}

TEST_F(CardOffloads, ACrcIsMoreWorkThanASum) {
  send_whole(kTcpOverIpv4, kTcp4, kChecksums);
  const std::int64_t sum = WorkBudget::kPerAccess - fixture.budget.left();
  Bytes longer = kSctpOverIpv4;
  longer.resize(1500);
  send_whole(longer, kSctp4, kChecksums);
  WorkBudget crc;
  crc.start(0);
  crc.charge(kCrcWork * longer.size());
  EXPECT_EQ(WorkBudget::kPerAccess - fixture.budget.left(), -crc.left());
  EXPECT_LT(sum, 10);
}

TEST_F(CardOffloads, InsertOnlyTheRequestedChecksum) {
  Bytes open = kTcpOverIpv4;
  put16(open, 24, 0);
  put16(open, kTcp4.checksum_at(), 0x1234);
  Bytes expected = open;
  put16(expected, 24, big16(kTcpOverIpv4, 24));
  send_whole(open, kTcp4, tx::kInsertIpChecksum);
  EXPECT_EQ(fixture.sent.back(), expected);
}

TEST_F(CardOffloads, SendAUdpChecksumOfZeroAsOnes) {
  Bytes open = kUdpOverIpv4;
  put16(open, kUdp4.checksum_at(), kUdp4.pseudo_sum(open, open.size() - kUdp4.l4_at()));
  const std::size_t rest = 0xFFFF - sum_of(open, kUdp4.l4_at(), open.size());
  put16(open, open.size() - 5, (big16(open, open.size() - 5) + rest) % 0xFFFF);
  send_whole(open, kUdp4, tx::kInsertL4Checksum);
  EXPECT_EQ(big16(fixture.sent.back(), kUdp4.checksum_at()), 0xFFFFu);
}

TEST_F(CardOffloads, SegmentTcpOverIpv4) {
  Bytes sample = kTcpOverIpv4;
  put16(sample, 18, 0xFFFE);                     // the identification wraps
  put16(sample, kTcp4.l4_at() + 4, 0xFFFF);      // and so does the sequence number
  sample[kTcp4.l4_at() + 13] = std::byte{0xD9};  // CWR, ECE, ACK, PSH and FIN
  const Bytes request = request_of(sample, kTcp4, 70000);
  segment(request, kTcp4, 1448);
  const auto expected = segments_of(request, kTcp4, 1448);
  ASSERT_EQ(fixture.sent.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_EQ(fixture.sent[i], expected[i]) << i;
  EXPECT_EQ(fixture.sent.front()[kTcp4.l4_at() + 13], std::byte{0xD0});
  EXPECT_EQ(fixture.sent[1][kTcp4.l4_at() + 13], std::byte{0x50});
  EXPECT_EQ(fixture.sent.back()[kTcp4.l4_at() + 13], std::byte{0x59});
  EXPECT_EQ(fixture.read<hw::TSCTC>().raw(), 1u);
  EXPECT_EQ(fixture.read<hw::GPTC>().raw(), expected.size());
  EXPECT_TRUE(tx::done(fixture.memory.descriptor(CardFixture::kTxRing, tail - 1).hi));
}

TEST_F(CardOffloads, SegmentTcpOverIpv6WithExtensionsAndScatteredBuffers) {
  Bytes sample = kTcpOverIpv6;
  const Bytes extension = test::bytes_of_hex<std::byte>("0600010400000000");  // hop-by-hop options, padding
  sample[20] = std::byte{0};
  sample.insert(sample.begin() + 54, extension.begin(), extension.end());
  constexpr Layout kExtended{.ipv4 = false, .ip = 48};
  const Bytes request = request_of(sample, kExtended, 3000);
  segment(request, kExtended, 999, 0, 257);
  EXPECT_EQ(fixture.sent, segments_of(request, kExtended, 999));
  for (const Bytes& frame : fixture.sent) {
    const Headers headers = parse(frame, {.inner = 0x8100});
    EXPECT_EQ(checksum_status(frame, headers, hw::RXCSUM::TUOFL, {}), intel::rx::kL4Checked);
  }
}

TEST_F(CardOffloads, SegmentUdp) {
  const Bytes request = request_of(kUdpOverIpv4, kUdp4, 5000);
  segment(request, kUdp4, 1472);
  ASSERT_EQ(fixture.sent.size(), 4u);
  EXPECT_EQ(fixture.sent, segments_of(request, kUdp4, 1472));
}

TEST_F(CardOffloads, TagEachSegment) {
  post(tx::context([] {
    auto context = kTcp4.context(1000, 1);
    context.vlan = 0x6064;
    return context;
  }()));
  const Bytes request = request_of(kTcpOverIpv4, kTcp4, 2500);
  post_request(request, 2500, tx::kSegment | kChecksums | tx::kInsertVlan | std::uint64_t{1} << tx::kContextShift);
  auto expected = segments_of(request, kTcp4, 1000);
  for (Bytes& frame : expected) {
    const Bytes tag = test::bytes_of_hex<std::byte>("81006064");
    frame.insert(frame.begin() + 12, tag.begin(), tag.end());
  }
  EXPECT_EQ(fixture.sent, expected);
}

TEST_F(CardOffloads, SegmentTheLongestRequest) {
  const Bytes request = request_of(kTcpOverIpv4, kTcp4, tx::kPayloadMask);
  segment(request, kTcp4, 8948);
  const auto expected = segments_of(request, kTcp4, 8948);
  ASSERT_EQ(fixture.sent.size(), expected.size());
  EXPECT_EQ(fixture.sent, expected);
}

TEST_F(CardOffloads, WaitForTheWireBetweenSegments) {
  const Bytes request = request_of(kTcpOverIpv4, kTcp4, 5000);
  const auto expected = segments_of(request, kTcp4, 1000);
  fixture.card.on_transmit([this](std::span<const std::byte> frame) {
    fixture.sent.emplace_back(frame.begin(), frame.end());
    fixture.card.set_wire_busy(true);
  });
  segment(request, kTcp4, 1000);
  for (std::size_t i = 1; i < expected.size(); ++i) {
    EXPECT_EQ(fixture.sent.size(), i);
    fixture.card.set_wire_busy(false);
  }
  EXPECT_EQ(fixture.sent, expected);
  fixture.card.set_wire_busy(false);
  EXPECT_EQ(fixture.sent.size(), expected.size());
}

constexpr std::int64_t kOneFrame = 100;  // units of work

TEST_F(CardOffloads, SendABoundedNumberOfSegmentsForAWriteAndTheRestLater) {
  std::size_t sent = 0;
  fixture.card.on_transmit([&](std::span<const std::byte> frame) {
    ++sent;
    fixture.budget.charge_frame(frame.size());
  });
  segment(request_of(kTcpOverIpv4, kTcp4, 60000), kTcp4, 1);
  EXPECT_GT(sent, 0u);
  EXPECT_LT(sent, 60000u);
  EXPECT_GT(fixture.budget.left(), -kOneFrame);
  for (std::size_t before = 0; sent != before;) {
    before = sent;
    fixture.pass(WorkBudget::kPause);
    EXPECT_GT(fixture.budget.left(), -kOneFrame);
  }
  EXPECT_EQ(sent, 60000u);
}

TEST_F(CardOffloads, LeaveWorkToOtherQueues) {
  std::vector<std::size_t> sent;
  fixture.card.on_transmit([&](std::span<const std::byte> frame) {
    sent.push_back(frame.size());
    fixture.budget.charge_frame(frame.size());
  });
  for (int i = 0; i < 4; ++i) segment(request_of(kTcpOverIpv4, kTcp4, 60000), kTcp4, 1);
  fixture.write<hw::TDBAL>(1, hw::TDBAL::Value(static_cast<std::uint32_t>(CardFixture::kRxRing)));
  fixture.write<hw::TDLEN>(1, hw::TDLEN::Value(CardFixture::kSlots * hw::kDescriptorBytes));
  fixture.write<hw::TXDCTL>(1, hw::TXDCTL::ENABLE);
  fixture.pass(Transmit::kEnableTime);
  fixture.memory.descriptor(CardFixture::kRxRing, 0) =
      tx::data(kData, 1000, 1000, tx::kEndOfPacket | tx::kInsertCrc | tx::kAdvanced);
  fixture.write<hw::TDT>(1, hw::TDT::TAIL(1));
  for (int i = 0; i < 1000; ++i) fixture.pass(WorkBudget::kPause);
  EXPECT_EQ(std::count(sent.begin(), sent.end(), std::size_t{1000}), 1);
  EXPECT_LT(std::find(sent.begin(), sent.end(), std::size_t{1000}) - sent.begin(), 130000) << "not after all requests";
}

TEST_F(CardOffloads, AreForgottenInAReset) {
  fixture.card.on_transmit([this](std::span<const std::byte>) { fixture.card.set_wire_busy(true); });
  segment(request_of(kTcpOverIpv4, kTcp4, 5000), kTcp4, 1000);
  fixture.card.reset();
  fixture.card.on_transmit(
      [this](std::span<const std::byte> frame) { fixture.sent.emplace_back(frame.begin(), frame.end()); });
  fixture.card.set_wire_busy(false);
  fixture.pass(std::chrono::seconds(1));
  EXPECT_TRUE(fixture.sent.empty());
}

TEST_F(CardOffloads, SendNothingForAContextThatDoesNotMatch) {
  const Bytes request = request_of(kTcpOverIpv4, kTcp4, 3000);
  const auto rejected = [&](const Layout& layout, std::size_t mss, std::size_t payload, std::uint64_t flags) {
    const std::uint64_t before = bad();
    post(tx::context(layout.context(mss)));
    post_request(request, payload, flags);
    EXPECT_TRUE(fixture.sent.empty());
    EXPECT_EQ(bad(), before + 1);
    EXPECT_EQ(fixture.read<hw::TDH>().raw(), tail) << "its descriptors are done";
  };
  const std::uint64_t segments = tx::kSegment | kChecksums;
  rejected(kTcp4, 0, 3000, segments);                                    // no segment size
  rejected(kTcp4, 9700, 3000, segments);                                 // longer than a frame
  rejected(kTcp4, 1000, 2999, segments);                                 // PAYLEN is not what follows
  rejected(kTcp4, 1000, 0, segments);                                    // no payload
  rejected({.l4 = 19}, 1000, 3001, segments);                            // a TCP header of 19 bytes
  rejected({.ip = 19}, 1000, 3001, segments);                            // an IP header of 19 bytes
  rejected({.mac = 13}, 1000, 3001, segments);                           // a MAC header of 13 bytes
  rejected({.l4 = 12, .type = tx::kContextSctp}, 1000, 3008, segments);  // SCTP is not segmented
  rejected({.type = tx::kL4TypeMask}, 1000, 3000, segments);             // no layer 4
  rejected({.type = tx::kL4TypeMask}, 0, 3054, tx::kInsertL4Checksum);
  post(tx::context(Layout{.mac = 127, .ip = 511}.context()));
  post_request(kTcpOverIpv4, 60, kChecksums);
  EXPECT_EQ(bad(), 11u) << "headers behind the frame's end";
  post_request(kTcpOverIpv4, 60, 0);
  EXPECT_EQ(fixture.sent.size(), 1u) << "frames without a request need no context";
}

}  // namespace
}  // namespace pollux::models::igb
