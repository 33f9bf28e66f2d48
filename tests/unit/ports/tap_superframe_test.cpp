// SPDX-License-Identifier: BSD-3-Clause
// The headers between a TAP port and the kernel: requests for segmentation that the kernel makes, and what the port
// says about checksums that a card has verified.
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "fixture.hpp"
#include "net/superframe.hpp"
#include "ports/tap/queues.hpp"
#include "support/routed_frames.hpp"

namespace pollux::ports {
namespace {

/// The header of a TCP segment over IPv4 that is to be segmented, and the start of that frame.
struct Superframe {
  VirtioNetHeader header{.flags = VirtioNetHeader::kNeedsChecksum,
                         .segmentation = VirtioNetHeader::kTcpOverIpv4,
                         .header_length = 54,
                         .segment_size = 1448,
                         .checksum_start = 34,
                         .checksum_offset = 16};
  Bytes start = Bytes(200);

  Superframe() {
    start[12] = 0x08;
    start[14] = 0x45;
    start[46] = 0x80;  // a TCP header of 32 bytes
  }
  [[nodiscard]] std::optional<TxOffload> request() const { return superframe_request(header, start); }
  void expect_rejected(const char* why) const { EXPECT_EQ(request(), std::nullopt) << why; }
};

TEST(TapSuperframe, TheKernelsHeaderBecomesARequest) {
  Superframe tcp;
  EXPECT_EQ(tcp.request(),
            (TxOffload{.flags = TxOffload::tcp_segmentation, .l2 = 14, .l3 = 20, .l4 = 32, .segment_size = 1448}));
  tcp.header.segmentation |= VirtioNetHeader::kWithCwr;
  EXPECT_TRUE(tcp.request());
  Superframe ipv6;
  ipv6.header.segmentation = VirtioNetHeader::kTcpOverIpv6;
  ipv6.header.checksum_start = 14 + 4 + 40;
  ipv6.start[12] = 0x81;
  ipv6.start[16] = 0x86;
  ipv6.start[18] = 0x60;
  ipv6.start[58 + 12] = 0x50;
  EXPECT_EQ(ipv6.request(),
            (TxOffload{.flags = TxOffload::tcp_segmentation, .l2 = 18, .l3 = 40, .l4 = 20, .segment_size = 1448}));
  Superframe udp;
  udp.header.segmentation = VirtioNetHeader::kUdp;
  EXPECT_EQ(udp.request(),
            (TxOffload{.flags = TxOffload::udp_segmentation, .l2 = 14, .l3 = 20, .l4 = 8, .segment_size = 1448}));
}

TEST(TapSuperframe, WhatDoesNotFitTheFrameIsNoRequest) {
  Superframe good;
  ASSERT_TRUE(good.request());
  Superframe wrong = good;
  wrong.header.segmentation = 3;  // UDP fragmentation, which no kernel since 4.14 does
  wrong.expect_rejected("unknown kind");
  wrong = good;
  wrong.header.flags = 0;
  wrong.expect_rejected("no partial checksum");
  wrong = good;
  wrong.header.segment_size = 0;
  wrong.expect_rejected("no segment size");
  wrong = good;
  wrong.start[14] = 0x60;
  wrong.header.checksum_start = 195;
  wrong.expect_rejected("the TCP header is incomplete");
  wrong = good;
  wrong.start[14] = 0x44;
  wrong.header.checksum_start = 30;
  wrong.start[42] = 0x50;
  wrong.expect_rejected("no room for an IP header");
  wrong = good;
  wrong.start[14] = 0x60;
  wrong.header.checksum_start = 10;
  wrong.start[22] = 0x50;
  wrong.expect_rejected("in the Ethernet header");
  wrong = good;
  wrong.header.checksum_start = 38;
  wrong.start[50] = 0x50;
  wrong.expect_rejected("not the length of the IPv4 header");
  wrong = good;
  wrong.start[14] = 0x60;
  wrong.expect_rejected("too short for IPv6");
  wrong = good;
  wrong.start[14] = 0x50;
  wrong.expect_rejected("neither IPv4 nor IPv6");
  wrong = good;
  wrong.start[46] = 0x40;
  wrong.expect_rejected("a TCP header of 16 bytes");
  wrong = good;
  wrong.start.resize(65);
  wrong.expect_rejected("TCP options beyond the bytes");
}

// The kernel takes the sum in the field for that of the pseudo-header.
TEST(TapSuperframe, OnARouteTheSumIsThatOfItsEnd) {
  for (const test::RoutedFrame& routed : test::routed_frames()) {
    const std::size_t l4 = routed.is_tcp ? 20 : 8;
    Bytes headers(routed.bytes.begin(), routed.bytes.begin() + static_cast<std::ptrdiff_t>(routed.l4() + l4));
    const TxOffload request{.flags = routed.is_tcp ? TxOffload::tcp_segmentation : TxOffload::udp_segmentation,
                            .l2 = 14,
                            .l3 = routed.l3,
                            .l4 = static_cast<std::uint16_t>(l4),
                            .segment_size = 100};
    const std::uint32_t l4_bytes = 1000 + static_cast<std::uint32_t>(l4);
    static_cast<void>(superframe_header(headers, request, static_cast<std::uint32_t>(routed.l4()) + l4_bytes));
    packet::InternetSum sum;
    sum.add(routed.addresses);
    sum.add((routed.is_tcp ? 6U : 17U) + l4_bytes);
    EXPECT_EQ(packet::load16(&headers[routed.checksum_at()]), sum.folded()) << routed.name;
  }
}

struct OpenTapQueue final : tap::TapTxQueue {
  using tap::TapTxQueue::close;
  using tap::TapTxQueue::drops;
  using tap::TapTxQueue::open;
  using tap::TapTxQueue::sent;
  using tap::TapTxQueue::set_up;
  using tap::TapTxQueue::TapTxQueue;
};

/// A TAP port's queue whose kernel is the test.
class TapTxQueue : public PortFixture {
 protected:
  TapTxQueue() {
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends_.data()), 0);
    queue_ = std::make_unique<OpenTapQueue>(ends_[0]);
    queue_->set_up(
        {.min_frame = 14, .max_frame = 65535, .offloads = TxOffload::kChecksums | TxOffload::udp_segmentation}, nullptr,
        context_.state());
    queue_->open();
  }
  ~TapTxQueue() override {
    EXPECT_TRUE(queue_->close(context_.clock(), std::chrono::seconds(1)));
    for (const int end : ends_) ::close(end);
  }

  [[nodiscard]] VirtioNetHeader header_of(MbufPtr frame, Bytes* written = nullptr) {
    Burst<1> burst;
    EXPECT_TRUE(burst.push(frame));
    EXPECT_EQ(queue_->tx_burst(burst), 1U);
    std::array<std::uint8_t, 2048> bytes{};
    const ssize_t count = ::recv(ends_[1], bytes.data(), bytes.size(), 0);
    EXPECT_GT(count, 0);
    VirtioNetHeader header;
    if (written != nullptr) written->assign(bytes.begin() + sizeof header, bytes.begin() + count);
    std::memcpy(&header, bytes.data(), sizeof header);
    return header;
  }

  std::array<int, 2> ends_{};
  std::unique_ptr<OpenTapQueue> queue_;
};

// The kernel would sum up to the packet's end.
TEST_F(TapTxQueue, TheChecksumOfADatagramBeforeThePacketsEndIsComputed) {
  for (const test::RoutedFrame& routed : test::routed_frames()) {
    if (!routed.has_surplus()) continue;
    MbufPtr frame = make_mbuf(routed.bytes);
    packet::InternetSum sum;
    sum.add(routed.addresses);
    sum.add(17U + packet::load16(&routed.bytes[routed.l4() + 4]));
    packet::store16(frame->data() + routed.checksum_at(), sum.folded());
    frame->set_tx_offload({.flags = TxOffload::udp_checksum, .l2 = 14, .l3 = routed.l3});
    Bytes written;
    EXPECT_EQ(header_of(std::move(frame), &written).flags, 0) << routed.name;
    EXPECT_EQ(written, routed.bytes) << routed.name;
  }
}

TEST_F(TapTxQueue, TakesNoMoreDatagramsThanTheKernelDoes) {
  for (const std::uint16_t size : {std::uint16_t{2}, std::uint16_t{1}}) {
    Bytes bytes(14 + 20 + 8 + 128);
    bytes[12] = 0x08;
    bytes[14] = 0x45;
    bytes[23] = 17;
    MbufPtr frame = make_mbuf(bytes);
    ASSERT_TRUE(request_checksums(
        *frame, {.flags = TxOffload::udp_segmentation, .l2 = 14, .l3 = 20, .l4 = 8, .segment_size = size}));
    Burst<1> burst;
    ASSERT_TRUE(burst.push(frame));
    EXPECT_EQ(queue_->tx_burst(burst), 1U);
  }
  EXPECT_EQ(queue_->sent().packets, 1U) << "64 datagrams";
  EXPECT_EQ(queue_->drops().too_many_segments, 1U) << "128 datagrams";
}

TEST_F(TapTxQueue, AVerifiedChecksumIsAnnounced) {
  const Bytes frame = numbered(60, 1);
  EXPECT_EQ(header_of(make_mbuf(frame)).flags, 0);
  for (const auto& [status, flags] : {std::pair(ChecksumStatus::good, VirtioNetHeader::kDataValid),
                                      {ChecksumStatus::unknown, std::uint8_t{0}},
                                      {ChecksumStatus::bad, std::uint8_t{0}}}) {
    MbufPtr received = make_mbuf(frame);
    SoftwareRxMetadata{.l4_checksum = status}.attach_to(*received);
    EXPECT_EQ(header_of(std::move(received)).flags, flags);
  }
}

}  // namespace
}  // namespace pollux::ports
