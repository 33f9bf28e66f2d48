// SPDX-License-Identifier: BSD-3-Clause
// Requests of real packets, which a card computes itself.
#include <algorithm>
#include <array>
#include <functional>

#include "conformance/fixture.hpp"
#include "pollux/net/packet/builder.hpp"
#include "pollux/net/packet/sums.hpp"

namespace pollux::conformance {
namespace {

constexpr MacAddress kSender{0x02, 0x43, 0, 0, 0, 0x02};
constexpr std::uint8_t kSctp = 132;
constexpr std::size_t kSctpHeader = 12;

/// The headers of a packet, and the offload flag of its transport's checksum.
struct Headers {
  const char* name;
  std::uint16_t tags;
  bool ipv6;
  std::uint32_t flag;

  [[nodiscard]] TxOffload request() const {
    return {.flags = flag | (ipv6 ? 0U : std::uint32_t{TxOffload::ipv4_checksum}),
            .l2 = static_cast<std::uint16_t>(14 + 4 * tags),
            .l3 = static_cast<std::uint16_t>(ipv6 ? 40 : 20)};
  }
};
constexpr std::array kHeaders{
    Headers{"TCP over IPv4", 0, false, TxOffload::tcp_checksum},
    Headers{"UDP over IPv4", 0, false, TxOffload::udp_checksum},
    Headers{"SCTP over IPv4", 0, false, TxOffload::sctp_checksum},
    Headers{"TCP over IPv6", 0, true, TxOffload::tcp_checksum},
    Headers{"UDP over IPv6", 0, true, TxOffload::udp_checksum},
    Headers{"SCTP over IPv6", 0, true, TxOffload::sctp_checksum},
    Headers{"tagged TCP over IPv4", 1, false, TxOffload::tcp_checksum},
    Headers{"tagged UDP over IPv6", 1, true, TxOffload::udp_checksum},
    Headers{"IPv4 alone", 0, false, 0},
};

class TransmitOffloads : public Conformance {
 protected:
  /// A packet with correct checksums.
  [[nodiscard]] static Bytes make_packet(const Headers& headers, std::size_t payload) {
    Bytes memory(payload + 128);
    Bytes data(payload);
    for (std::size_t i = 0; i < payload; ++i) data[i] = static_cast<std::uint8_t>(i * 7 + payload);
    packet::Builder builder(memory);
    builder.ethernet({.destination = kBroadcast, .source = kSender});
    for (std::uint16_t i = 0; i < headers.tags; ++i) builder.vlan({.id = 7});
    const bool is_sctp = headers.flag == TxOffload::sctp_checksum;
    const std::uint8_t protocol = is_sctp ? kSctp : 253;
    if (headers.ipv6) {
      builder.ipv6({.next_header = protocol, .source = {0xFD, 1}, .destination = {0xFD, 2}});
    } else {
      builder.ipv4({.protocol = protocol, .source = {10, 0, 0, 1}, .destination = {10, 0, 0, 2}});
    }
    if (headers.flag == TxOffload::tcp_checksum) builder.tcp({.source_port = 1000, .destination_port = 2000});
    if (headers.flag == TxOffload::udp_checksum) builder.udp({.source_port = 1000, .destination_port = 2000});
    if (is_sctp) data.insert(data.begin(), kSctpHeader, std::uint8_t{0});
    builder.payload(data);
    const auto frame = builder.finish(0);
    EXPECT_TRUE(frame) << headers.name;
    Bytes bytes(frame->begin(), frame->end());
    if (is_sctp) put_crc(bytes, headers.request().l4_offset());
    return bytes;
  }
  /// The packet with requests for its checksums, in segments of `first` and `segment_bytes` bytes.
  [[nodiscard]] MbufPtr make_request(const Headers& headers, const Bytes& packet, std::size_t first,
                                     std::size_t segment_bytes) {
    Bytes wrong = packet;
    const TxOffload request = headers.request();
    if (!headers.ipv6) std::fill_n(wrong.begin() + request.l2 + 10, 2, std::uint8_t{0xA5});
    if (headers.flag == TxOffload::sctp_checksum) std::fill_n(wrong.begin() + request.l4_offset() + 8, 4, 0xA5);
    MbufPtr mbuf = make_mbuf(std::span(wrong).first(std::min(first, wrong.size())));
    if (first < wrong.size()) {
      MbufPtr more = make_mbuf(std::span(wrong).subspan(first), segment_bytes);
      EXPECT_TRUE(mbuf->chain(more));
    }
    EXPECT_TRUE(request_checksums(*mbuf, request));
    return mbuf;
  }
  /// Whether the right port receives packets with these headers. The physical function decides which VLANs a virtual
  /// function receives, and whether it gets their tags.
  [[nodiscard]] bool arrives(const Headers& headers) const { return headers.tags == 0 || traits().promiscuous; }
  void send_one(MbufPtr mbuf) {
    Burst<1> burst;
    ASSERT_TRUE(burst.push(mbuf));
    ASSERT_EQ(left().tx(0).tx_burst(burst), 1U);
  }
  /// The next frame of kSender that the right port receives, with its checksums; empty if no more arrive.
  [[nodiscard]] Bytes receive_one() {
    Bytes bytes;
    static_cast<void>(wait_until(context_->clock(), "the arrival of a frame", std::chrono::seconds(10), [&] {
      Burst<1> burst;
      if (right().rx(0).rx_burst(burst) == 0) {
        pass_time();
        return false;
      }
      const MbufPtr frame = burst.pop();
      EXPECT_EQ(complete_checksums(*frame), ChecksumCompletion::complete);
      bytes = content(*frame);
      if (!std::equal(kSender.begin(), kSender.end(), bytes.begin() + 6)) bytes.clear();
      return !bytes.empty();
    }));
    return bytes;
  }

 private:
  static void put_crc(Bytes& frame, std::size_t at) {
    packet::Crc32c crc;
    crc.add(std::span(frame).subspan(at));
    std::copy_n(crc.bytes().begin(), 4, frame.begin() + static_cast<std::ptrdiff_t>(at) + 8);
  }
};

CONFORMANCE_TEST_WHERE(TransmitOffloads, PacketsOfEachKindGetTheirChecksums,
                       traits.delivers && !traits.by_file && !traits.needs_relay) {
  start_both();
  std::uint64_t sent = 0;
  for (const Headers& headers : kHeaders) {
    if (!arrives(headers)) continue;
    for (const std::size_t payload : {std::size_t{64}, std::size_t{101}, std::size_t{1200}}) {
      for (const std::size_t first : {std::size_t{2048}, std::size_t{90}, std::size_t{40}}) {
        const std::string what = std::string(headers.name) + ", " + std::to_string(payload) + " bytes, the first " +
                                 std::to_string(first) + " in one mbuf";
        const Bytes packet = make_packet(headers, payload);
        send_one(make_request(headers, packet, first, 300));
        ++sent;
        ASSERT_EQ(receive_one(), packet) << what;
      }
    }
  }
  settle(left());
  EXPECT_EQ(left().stats().tx_packets, sent);
  EXPECT_EQ(dropped(left(), "tx_"), 0U);
}

// More kinds than a card keeps contexts, in each order, in one burst.
CONFORMANCE_TEST_WHERE(TransmitOffloads, RequestsOfSeveralKindsAlternateInABurst,
                       traits.delivers && !traits.by_file && !traits.needs_relay) {
  start_both();
  for (std::size_t step = 0; step < kHeaders.size(); ++step) {
    Burst<16> burst;
    std::vector<Bytes> packets;
    for (std::size_t i = 0; i < 16; ++i) {
      const Headers& chosen = kHeaders[(i / 2 * step + i) % kHeaders.size()];
      const Headers& headers = arrives(chosen) ? chosen : kHeaders.front();
      packets.push_back(make_packet(headers, 64 + i));
      MbufPtr mbuf = i % 5 == 4 ? make_mbuf(packets.back()) : make_request(headers, packets.back(), 2048, 2048);
      ASSERT_TRUE(burst.push(mbuf));
    }
    ASSERT_EQ(left().tx(0).tx_burst(burst), 16U);
    for (const Bytes& packet : packets) ASSERT_EQ(receive_one(), packet) << step;
    settle(left());
  }
}

/// A TCP packet of `data` that is number `number` of its connection. QEMU's card clears FIN and PSH in each segment, so
/// it has neither.
Bytes make_tcp(bool ipv6, std::uint16_t tags, std::uint16_t number, std::uint32_t sequence,
               std::span<const std::uint8_t> data) {
  Bytes memory(data.size() + 128);
  packet::Builder builder(memory);
  builder.ethernet({.destination = kBroadcast, .source = kSender});
  for (std::uint16_t i = 0; i < tags; ++i) builder.vlan({.id = 7});
  if (ipv6) {
    builder.ipv6({.source = {0xFD, 1}, .destination = {0xFD, 2}});
  } else {
    builder.ipv4({.identification = number, .source = {10, 0, 0, 1}, .destination = {10, 0, 0, 2}});
  }
  builder.tcp({.source_port = 1000, .destination_port = 2000, .sequence = sequence, .flags = packet::TcpHeader::ack});
  builder.payload(data);
  const auto frame = builder.finish(0);
  EXPECT_TRUE(frame);
  return {frame->begin(), frame->end()};
}

/// The check sequence of a frame, bit by bit (IEEE 802.3, 3.2.9).
std::array<std::uint8_t, 4> check_sequence(const Bytes& frame) {
  std::uint32_t crc = ~std::uint32_t{0};
  for (const std::uint8_t byte : frame) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? 0xEDB88320 : 0);
  }
  crc = ~crc;
  return {static_cast<std::uint8_t>(crc), static_cast<std::uint8_t>(crc >> 8), static_cast<std::uint8_t>(crc >> 16),
          static_cast<std::uint8_t>(crc >> 24)};
}

CONFORMANCE_TEST_WHERE(TransmitOffloads, FramesMayBringTheirOwnCheckSequence, traits.own_fcs) {
  start_both();
  ASSERT_NE(left().offloads().tx_flags & TxOffload::without_fcs, 0U);
  const auto send_whole = [&](const Bytes& frame, std::uint8_t change) {
    const auto fcs = check_sequence(frame);
    Bytes whole = frame;
    whole.insert(whole.end(), fcs.begin(), fcs.end());
    whole.back() ^= change;
    MbufPtr mbuf = make_mbuf(whole, 80);  // in two segments
    mbuf->set_tx_offload({.flags = TxOffload::without_fcs});
    send_one(std::move(mbuf));
  };
  const Bytes right_one = make_frame(100, 1);
  const Bytes last = make_frame(100, 3);
  send_whole(right_one, 0);
  send_whole(make_frame(100, 2), 1);
  send_whole(last, 0);
  EXPECT_EQ(receive(right(), 2), (std::vector<Bytes>{right_one, last}));
  expect_silence(right());
  EXPECT_EQ(right().stats().rx_errors, 1U) << "the frame with a wrong one";
  settle(left());
  EXPECT_EQ(dropped(left(), "tx_"), 0U);
}

// By software, and by a card that strips tags.
CONFORMANCE_TEST_WHERE(TransmitOffloads, TagsAreInserted, traits.card_receive) {
  start_both();
  ASSERT_TRUE(left().info().supports.test(Setting::vlan_stripping));
  const auto tagged = [](Bytes bytes) {
    const Bytes tag{0x81, 0x00, 0x60, 0x07};
    bytes.insert(bytes.begin() + 12, tag.begin(), tag.end());
    return bytes;
  };
  std::uint32_t seed = 0;
  for (const bool by_card : {false, true, false, true}) {
    ASSERT_TRUE(left().change([&](pollux::Settings& settings) { settings.vlan_stripping = by_card; }));
    std::vector<Bytes> expected;
    for (int bursts = 0; bursts < 3; ++bursts) {
      Burst<8> burst;
      for (std::size_t i = 0; i < 8; ++i, ++seed) {
        const Bytes bytes = make_tcp(false, 0, 1, seed, Bytes(6 + i, 0x5A));
        MbufPtr mbuf = make_mbuf(bytes);
        if (i != 3) mbuf->set_tx_offload({.flags = TxOffload::insert_vlan, .vlan = 0x6007});
        expected.push_back(i != 3 ? tagged(bytes) : bytes);
        ASSERT_TRUE(burst.push(mbuf));
      }
      ASSERT_EQ(left().tx(0).tx_burst(burst), 8U);
    }
    for (const Bytes& bytes : expected) ASSERT_EQ(receive_one(), bytes) << by_card;
    const Headers& tcp = kHeaders[0];
    const Bytes packet = make_packet(tcp, 300);
    MbufPtr mbuf = make_request(tcp, packet, 400, 400);
    TxOffload request = mbuf->tx_offload();
    request.flags |= TxOffload::insert_vlan;
    request.vlan = 0x6007;
    mbuf->set_tx_offload(request);
    send_one(std::move(mbuf));
    EXPECT_EQ(receive_one(), tagged(packet)) << by_card;
    settle(left());
  }
  EXPECT_EQ(dropped(left(), "tx_"), 0U);
}

CONFORMANCE_TEST_WHERE(TransmitOffloads, LongPacketsOfTcpAreSegmented,
                       traits.delivers && !traits.by_file && !traits.needs_relay) {
  start_both();
  const bool is_supported = (left().offloads().tx_flags & TxOffload::tcp_segmentation) != 0;
  EXPECT_EQ(is_supported, left().offloads().max_tso != 0);
  if (!is_supported) return;
  constexpr std::uint32_t kSequence = 0xFFFFF000;  // it passes zero within the packet
  Bytes data(9000);
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::uint8_t>(i * 11 + i / 256);
  for (const Headers& headers : kHeaders) {
    if (headers.flag != TxOffload::tcp_checksum || !arrives(headers)) continue;
    for (const std::uint16_t size : {std::uint16_t{1400}, std::uint16_t{536}, std::uint16_t{1000}}) {
      for (const std::size_t first : {std::size_t{2000}, std::size_t{100}}) {
        const Bytes whole = make_tcp(headers.ipv6, headers.tags, 1, kSequence, data);
        MbufPtr mbuf = make_mbuf(std::span(whole).first(first));
        MbufPtr more = make_mbuf(std::span(whole).subspan(first), 700);
        ASSERT_TRUE(mbuf->chain(more));
        TxOffload request = headers.request();
        request.flags = TxOffload::tcp_segmentation;
        request.l4 = 20;
        request.segment_size = size;
        ASSERT_TRUE(request_checksums(*mbuf, request));
        send_one(std::move(mbuf));
        std::uint16_t number = 1;
        for (std::size_t at = 0; at < data.size(); at += size, ++number) {
          const auto part = std::span(data).subspan(at).first(std::min<std::size_t>(size, data.size() - at));
          const auto sequence = static_cast<std::uint32_t>(kSequence + at);
          ASSERT_EQ(receive_one(), make_tcp(headers.ipv6, headers.tags, number, sequence, part))
              << headers.name << ", segment " << number << " of " << size << " bytes, the first " << first
              << " in one mbuf";
        }
      }
    }
  }
  settle(left());
  EXPECT_EQ(dropped(left(), "tx_"), 0U);
}

/// As make_tcp, for UDP.
Bytes make_udp(bool ipv6, std::uint16_t number, std::span<const std::uint8_t> data) {
  Bytes memory(data.size() + 128);
  packet::Builder builder(memory);
  builder.ethernet({.destination = kBroadcast, .source = kSender});
  if (ipv6) {
    builder.ipv6({.source = {0xFD, 1}, .destination = {0xFD, 2}});
  } else {
    builder.ipv4({.identification = number, .source = {10, 0, 0, 1}, .destination = {10, 0, 0, 2}});
  }
  builder.udp({.source_port = 1000, .destination_port = 2000}).payload(data);
  const auto frame = builder.finish(0);
  EXPECT_TRUE(frame);
  return {frame->begin(), frame->end()};
}

CONFORMANCE_TEST_WHERE(TransmitOffloads, LongPacketsOfUdpAreSegmented, traits.udp_segments) {
  start_both();
  ASSERT_NE(left().offloads().tx_flags & TxOffload::udp_segmentation, 0U);
  Bytes data(5000);
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::uint8_t>(i * 13 + i / 256);
  for (const bool ipv6 : {false, true}) {
    for (const std::uint16_t size : {std::uint16_t{1400}, std::uint16_t{340}, std::uint16_t{1000}}) {
      const Bytes whole = make_udp(ipv6, 1, data);
      MbufPtr mbuf = make_mbuf(std::span(whole).first(1500));
      MbufPtr more = make_mbuf(std::span(whole).subspan(1500), 700);
      ASSERT_TRUE(mbuf->chain(more));
      const TxOffload request{.flags = TxOffload::udp_segmentation,
                              .l2 = 14,
                              .l3 = static_cast<std::uint16_t>(ipv6 ? 40 : 20),
                              .l4 = 8,
                              .segment_size = size};
      ASSERT_TRUE(request_checksums(*mbuf, request));
      send_one(std::move(mbuf));
      std::uint16_t number = 1;
      for (std::size_t at = 0; at < data.size(); at += size, ++number) {
        const auto part = std::span(data).subspan(at).first(std::min<std::size_t>(size, data.size() - at));
        ASSERT_EQ(receive_one(), make_udp(ipv6, number, part)) << "segment " << number << " of " << size << " bytes";
      }
    }
  }
  settle(left());
  EXPECT_EQ(dropped(left(), "tx_"), 0U);
}

}  // namespace
}  // namespace pollux::conformance
