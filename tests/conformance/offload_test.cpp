// SPDX-License-Identifier: BSD-3-Clause
// Partial checksums: a port that sends such a frame computes the checksum, forwards it as partial, or drops and counts
// the frame. No port sends a wrong checksum.
#include <algorithm>
#include <array>

#include "conformance/fixture.hpp"
#include "support/settings_edits.hpp"

namespace pollux::conformance {
namespace {

constexpr std::uint16_t kL2 =
    18;  // the Ethernet header with the suite's EtherType, and the frame number in place of a tag
constexpr std::uint16_t kL3 = 20;
constexpr std::size_t kL4At = kL2 + kL3;

/// A transport protocol: the offload flag of its checksum, its number in IPv4, the length of its header, and the offset
/// and length of the checksum in it.
struct Protocol {
  const char* name;
  std::uint32_t flag;
  std::uint8_t number;
  std::size_t header;
  std::size_t checksum;
  std::size_t bytes;
};
constexpr std::array kProtocols{Protocol{"TCP", TxOffload::tcp_checksum, 6, 20, 16, 2},
                                Protocol{"UDP", TxOffload::udp_checksum, 17, 8, 6, 2},
                                Protocol{"SCTP", TxOffload::sctp_checksum, 132, 12, 8, 4}};

void put16(Bytes& bytes, std::size_t at, std::size_t number) {
  bytes[at] = static_cast<std::uint8_t>(number >> 8);
  bytes[at + 1] = static_cast<std::uint8_t>(number);
}

// RFC 1071, starting with `sum`. A separate implementation, so that the test does not depend on the library's.
std::uint16_t internet_checksum(std::span<const std::uint8_t> bytes, std::uint32_t sum = 0) {
  for (std::size_t i = 0; i < bytes.size(); ++i) sum += i % 2 == 0 ? std::uint32_t{bytes[i]} << 8 : bytes[i];
  while (sum >> 16 != 0) sum = (sum & 0xFFFF) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

// RFC 9260, appendix A, one bit at a time.
std::uint32_t crc32c(std::span<const std::uint8_t> bytes) {
  std::uint32_t crc = ~std::uint32_t{0};
  for (const std::uint8_t byte : bytes) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82F63B78U : 0U);
  }
  return ~crc;
}

void put_checksums(Bytes& frame, const Protocol& protocol) {
  const std::span<const std::uint8_t> ip = std::span(frame).subspan(kL2, kL3);
  const std::span<const std::uint8_t> l4 = std::span(frame).subspan(kL4At);
  put16(frame, kL2 + 10, internet_checksum(ip));
  const std::size_t at = kL4At + protocol.checksum;
  if (protocol.bytes == 4) {
    const std::uint32_t crc = crc32c(l4);
    for (std::size_t i = 0; i < 4; ++i) frame[at + i] = static_cast<std::uint8_t>(crc >> (8 * i));
    return;
  }
  std::uint32_t pseudo_header = protocol.number + static_cast<std::uint32_t>(l4.size());
  for (std::size_t i = 12; i < 20; i += 2) pseudo_header += static_cast<std::uint32_t>(ip[i] << 8 | ip[i + 1]);
  put16(frame, at, internet_checksum(l4, pseudo_header));
}

/// A packet with `payload` bytes after its headers, and correct checksums.
Bytes make_packet(const Protocol& protocol, std::size_t payload) {
  Bytes frame = make_frame(kL4At + protocol.header + payload, 1);
  std::fill_n(frame.begin() + kL2, kL3 + protocol.header, std::uint8_t{0});
  frame[kL2] = 0x45;
  put16(frame, kL2 + 2, frame.size() - kL2);
  frame[kL2 + 8] = 64;
  frame[kL2 + 9] = protocol.number;
  put16(frame, kL2 + 12, 0x0A00);
  put16(frame, kL2 + 14, 0x0001);
  put16(frame, kL2 + 16, 0x0A00);
  put16(frame, kL2 + 18, 0x0002);
  put16(frame, kL4At, 1000);
  put16(frame, kL4At + 2, 2000);
  if (protocol.number == 6) frame[kL4At + 12] = 0x50;
  if (protocol.number == 17) put16(frame, kL4At + 4, frame.size() - kL4At);
  put_checksums(frame, protocol);
  return frame;
}

class Offloads : public Conformance {
 protected:
  [[nodiscard]] static TxOffload request_for(const Protocol& protocol) {
    return {.flags = TxOffload::ipv4_checksum | protocol.flag, .l2 = kL2, .l3 = kL3};
  }
  /// The packet with partial checksums.
  [[nodiscard]] MbufPtr make_partial(const Protocol& protocol, Bytes packet, std::size_t segment_bytes) {
    put16(packet, kL2 + 10, 0xA5A5);
    std::fill_n(packet.begin() + static_cast<std::ptrdiff_t>(kL4At + protocol.checksum), protocol.bytes, 0xA5);
    const std::size_t most = left().info().limits.max_tx_segments;
    MbufPtr mbuf = make_mbuf(packet, std::max(segment_bytes, (packet.size() + most - 1) / most));
    EXPECT_TRUE(request_checksums(*mbuf, request_for(protocol)));
    return mbuf;
  }
  void send_one(MbufPtr mbuf) {
    Burst<1> burst;
    ASSERT_TRUE(burst.push(mbuf));
    ASSERT_EQ(left().tx(0).tx_burst(burst), 1U);
  }
  /// The next of the suite's frames that the right port receives; empty if no more arrive.
  [[nodiscard]] MbufPtr receive_one() {
    if (traits().by_file) open_file();
    MbufPtr frame;
    static_cast<void>(wait_until(context_->clock(), "the arrival of a frame", std::chrono::seconds(10), [&] {
      Burst<1> burst;
      if (right().rx(0).rx_burst(burst) == 0) {
        pass_time();
        return false;
      }
      frame = burst.pop();
      const Bytes bytes = content(*frame);
      if (bytes[12] != 0x88 || bytes[13] != 0xB5) frame.reset();
      return frame != nullptr;
    }));
    return frame;
  }
  /// Expects that `frame` equals `packet`, except checksums that the mbuf marks as partial.
  void expect_right_or_partial(Mbuf& frame, const Bytes& packet, const std::string& what) {
    const RxMetadata metadata(frame);
    EXPECT_NE(metadata.ip_checksum(), ChecksumStatus::bad) << what;
    EXPECT_NE(metadata.l4_checksum(), ChecksumStatus::bad) << what;
    if (metadata.l4_checksum() == ChecksumStatus::partial) {
      EXPECT_TRUE(right().offloads().reports(RxOffload::partial_checksum)) << what;
      EXPECT_EQ(frame.tx_offload().l4_offset(), kL4At) << what;
      EXPECT_EQ(complete_checksums(frame), ChecksumCompletion::complete) << what;
    }
    EXPECT_EQ(content(frame), packet) << what;
  }

 private:
  // Opens the receiver on the file, and skips the frames that were received before.
  void open_file() {
    const std::size_t seen = frames_in_file_++;
    right_.reset();
    right_ = open_port(pair().right);
    ASSERT_TRUE(test::configure_port(right(), config()));
    ASSERT_TRUE(right().start());
    static_cast<void>(receive(right(), seen));
  }

  std::size_t frames_in_file_ = 0;
};

CONFORMANCE_TEST(Offloads, NeverSendsAWrongChecksum) {
  start_both();
  std::uint64_t sent = 0;
  for (const Protocol& protocol : kProtocols) {
    for (const std::size_t payload : {std::size_t{101}, std::size_t{1000}}) {
      for (const std::size_t segment_bytes : {std::size_t{2048}, payload == 101 ? std::size_t{7} : std::size_t{59}}) {
        const std::string what = std::string(protocol.name) + ", " + std::to_string(payload) +
                                 " bytes in segments of " + std::to_string(segment_bytes);
        const Bytes packet = make_packet(protocol, payload);
        ASSERT_EQ(left().offloads().tx_flags & request_for(protocol).flags, request_for(protocol).flags) << what;
        send_one(make_partial(protocol, packet, segment_bytes));
        settle(left());
        EXPECT_EQ(left().stats().tx_packets, ++sent) << what;
        if (!traits().delivers) continue;
        const MbufPtr frame = receive_one();
        ASSERT_NE(frame, nullptr) << what;
        expect_right_or_partial(*frame, packet, what);
      }
    }
  }
  EXPECT_EQ(dropped(left(), "tx_"), 0U);
}

CONFORMANCE_TEST(Offloads, NeverSendsAWrongChecksumInAClone) {
  start_both();
  for (const Protocol& protocol : kProtocols) {
    const Bytes packet = make_packet(protocol, 101);
    const MbufPtr original = make_partial(protocol, packet, 50);
    const Bytes before = content(*original);
    MbufPtr clone = original->clone(*cache_);
    ASSERT_NE(clone, nullptr);
    const std::uint64_t refused = dropped(left(), "tx_shared_checksum");
    send_one(std::move(clone));
    settle(left());
    EXPECT_EQ(content(*original), before) << protocol.name << ": the port must not write to shared bytes";
    if (!traits().delivers || dropped(left(), "tx_shared_checksum") == refused + 1) continue;
    const MbufPtr frame = receive_one();
    ASSERT_NE(frame, nullptr) << protocol.name;
    expect_right_or_partial(*frame, packet, protocol.name);
  }
  EXPECT_EQ(dropped(left(), "tx_"), dropped(left(), "tx_shared_checksum"));
}

CONFORMANCE_TEST(Offloads, CountsUnsupportedRequests) {
  start_both();
  std::uint64_t refused = 0;
  for (std::uint32_t flag = 1; flag <= TxOffload::without_fcs; flag <<= 1) {
    if ((left().offloads().tx_flags & flag) != 0) continue;
    MbufPtr mbuf = make_mbuf(make_packet(kProtocols[0], 101));
    mbuf->set_tx_offload({.flags = flag, .l2 = kL2, .l3 = kL3, .l4 = 20, .segment_size = 50});
    send_one(std::move(mbuf));
    EXPECT_EQ(drops(left(), "tx_unsupported_offload"), ++refused) << "flag " << flag;
  }
  EXPECT_EQ(left().stats().tx_packets, 0U);
  EXPECT_EQ((left().offloads().tx_flags & TxOffload::tcp_segmentation) != 0, left().offloads().max_tso != 0);
  EXPECT_EQ(left().offloads().tx_software_flags & ~left().offloads().tx_flags, 0U);
}

CONFORMANCE_TEST(Offloads, CountsRequestsThatDoNotMatchTheFrame) {
  start_both();
  std::uint64_t refused = 0;
  for (const Protocol& protocol : kProtocols) {
    const Bytes packet = make_packet(protocol, 101);
    // The checksum would end one byte after the end of the frame.
    const auto beyond = static_cast<std::uint16_t>(packet.size() - kL2 - protocol.checksum - protocol.bytes + 1);
    for (const TxOffload& request : {TxOffload{.flags = protocol.flag, .l2 = kL2, .l3 = beyond},
                                     TxOffload{.flags = TxOffload::ipv4_checksum, .l2 = kL2 + 1, .l3 = kL3},
                                     TxOffload{.flags = TxOffload::kL4Checksums, .l2 = kL2, .l3 = kL3}}) {
      MbufPtr mbuf = make_mbuf(packet);
      mbuf->set_tx_offload(request);
      send_one(std::move(mbuf));
      EXPECT_EQ(drops(left(), "tx_bad_offload"), ++refused) << protocol.name << ", flags " << request.flags;
    }
  }
  EXPECT_EQ(left().stats().tx_packets, 0U);
}

CONFORMANCE_TEST_WHERE(Offloads, CarriesFramesBesideThoseWithRequests, traits.delivers && !traits.by_file) {
  start_both();
  const Bytes packet = make_packet(kProtocols[1], 30);
  // Frames for the fast path and the slow path alternate in one burst.
  Burst<8> burst;
  for (int i = 0; i < 8; ++i) {
    MbufPtr mbuf = i % 2 == 0 ? make_mbuf(packet) : make_partial(kProtocols[1], packet, 2048);
    ASSERT_TRUE(burst.push(mbuf));
  }
  ASSERT_EQ(left().tx(0).tx_burst(burst), 8U);
  for (int i = 0; i < 8; ++i) {
    const MbufPtr frame = receive_one();
    ASSERT_NE(frame, nullptr) << i;
    expect_right_or_partial(*frame, packet, std::to_string(i));
  }
  settle(left());
}

}  // namespace
}  // namespace pollux::conformance
