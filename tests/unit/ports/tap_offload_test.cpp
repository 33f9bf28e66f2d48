// SPDX-License-Identifier: BSD-3-Clause
// Partial checksums between a TAP port and the kernel's own network stack, in both directions.
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>

#include "kernel_host.hpp"
#include "pollux/net/packet/builder.hpp"
#include "support/settings_edits.hpp"

namespace pollux::ports {
namespace {

TEST_F(TapOffload, TheKernelAcceptsAPartialUdpChecksum) {
  const Bytes payload(333, 0x42);
  const Bytes packet = make_packet(kUdp, make_datagram(payload));
  const TxOffload request{.flags = TxOffload::ipv4_checksum | TxOffload::udp_checksum, .l2 = 14, .l3 = 20};
  MbufPtr partial = make_mbuf(packet);
  ASSERT_TRUE(request_checksums(*partial, request));
  // The same bytes without the partial flag are a datagram with a wrong checksum.
  MbufPtr corrupted = make_mbuf(packet);
  ASSERT_TRUE(request_checksums(*corrupted, request));
  corrupted->set_tx_offload({.flags = TxOffload::ipv4_checksum, .l2 = 14, .l3 = 20});
  send_mbuf(std::move(corrupted));
  EXPECT_EQ(host_->receive(), Bytes());
  send_mbuf(std::move(partial));
  EXPECT_EQ(host_->receive(), payload);
  EXPECT_EQ(port_->stats().tx_packets, 2U);
}

TEST_F(TapOffload, TheKernelSegmentsUdp) {
  if ((port_->offloads().tx_flags & TxOffload::udp_segmentation) == 0) GTEST_SKIP() << "the kernel is older than 6.2";
  Bytes payload(1000);
  for (std::size_t i = 0; i < payload.size(); ++i) payload[i] = static_cast<std::uint8_t>(i / 100 + i);
  TxOffload request{
      .flags = TxOffload::udp_segmentation, .l2 = 14, .l3 = 20, .l4 = 8, .segment_size = std::uint16_t{300}};
  MbufPtr whole = make_mbuf(make_packet(kUdp, make_datagram(payload)));
  ASSERT_TRUE(request_checksums(*whole, request));
  send_mbuf(std::move(whole));
  for (const std::ptrdiff_t at : {0, 300, 600, 900}) {
    const auto end = std::min<std::ptrdiff_t>(at + 300, 1000);
    EXPECT_EQ(host_->receive(), Bytes(payload.begin() + at, payload.begin() + end)) << at;
  }
  EXPECT_EQ(host_->receive(), Bytes());
  MbufPtr wrong = make_mbuf(make_packet(kUdp, make_datagram(payload)));
  request.l4 = 12;
  wrong->set_tx_offload(request);
  send_mbuf(std::move(wrong));
  EXPECT_EQ(host_->receive(), Bytes());
  EXPECT_EQ(port_->stats().tx_packets, 1U);
}

// What the port says it takes arrives, and what it does not take is segmented in software.
TEST_F(TapOffload, EveryDatagramOfALongPacketArrives) {
  for (const std::size_t datagrams : {1U, 2U, 63U, 64U, 65U, 128U, 129U}) {
    MbufPtr whole = make_mbuf(make_packet(kUdp, make_datagram(Bytes(datagrams * 10, 0x42))));
    ASSERT_TRUE(request_checksums(
        *whole,
        {.flags = TxOffload::udp_segmentation, .l2 = 14, .l3 = 20, .l4 = 8, .segment_size = std::uint16_t{10}}));
    EXPECT_EQ(port_segments(port_->offloads(), *whole),
              (port_->offloads().tx_flags & TxOffload::udp_segmentation) != 0 && datagrams <= 64);
    SegmentingTx tx(port_->tx(0), port_->offloads(), cache_);
    Burst<1> burst;
    ASSERT_TRUE(burst.push(whole));
    EXPECT_EQ(tx.send(burst), 1U);
    std::size_t arrived = 0;
    while (host_->receive() == Bytes(10, 0x42)) ++arrived;
    EXPECT_EQ(arrived, datagrams);
  }
}

// RFC 9868: what follows the datagram is not a part of it, nor of its checksum.
TEST_F(TapOffload, TheKernelAcceptsADatagramThatEndsBeforeItsPacket) {
  const Bytes payload(33, 0x42);
  Bytes datagram = make_datagram(payload);
  datagram.resize(datagram.size() + 9, 0x5C);
  MbufPtr mbuf = make_mbuf(make_packet(kUdp, datagram));
  ASSERT_TRUE(
      request_checksums(*mbuf, {.flags = TxOffload::ipv4_checksum | TxOffload::udp_checksum, .l2 = 14, .l3 = 20}));
  ASSERT_EQ(complete_checksums(*mbuf), ChecksumCompletion::complete);
  EXPECT_EQ(packet::l4_checksum(*mbuf, packet::parse(*mbuf)), ChecksumStatus::good);
  send_mbuf(std::move(mbuf));
  EXPECT_EQ(host_->receive(), payload);
}

TEST_F(TapOffload, TheKernelReassemblesWhatTheBuilderMade) {
  const Bytes payload(1800, 0x42);
  for (const bool is_later : {false, true}) {
    const std::size_t first = 1000;
    Bytes memory(2000);
    packet::Builder builder(memory);
    builder.ethernet({.destination = host_->mac(), .source = port_->mac()})
        .ipv4({.identification = 7,
               .more_fragments = !is_later,
               .fragment_offset = is_later ? std::uint16_t{126} : std::uint16_t{0},
               .protocol = kUdp,
               .source = kOurAddress,
               .destination = kTheirAddress});
    if (!is_later) builder.udp({.source_port = kOurPort, .destination_port = kTheirPort, .length = 1808});
    builder.payload(is_later ? std::span(payload).subspan(first) : std::span(payload).first(first));
    const auto made = builder.finish();
    ASSERT_TRUE(made) << made.error().message();
    send_mbuf(make_mbuf({made->begin(), made->end()}));
  }
  EXPECT_EQ(host_->receive(), payload);
}

TEST_F(TapOffload, SoftwareSegmentsUdpIfTheKernelDoesNot) {
  const bool refused = (port_->offloads().tx_flags & TxOffload::udp_segmentation) == 0;
  const Bytes payload(1000, 0x42);
  MbufPtr whole = make_mbuf(make_packet(kUdp, make_datagram(payload)));
  ASSERT_TRUE(request_checksums(
      *whole, {.flags = TxOffload::udp_segmentation, .l2 = 14, .l3 = 20, .l4 = 8, .segment_size = std::uint16_t{300}}));
  SegmentingTx tx(port_->tx(0), port_->offloads(), cache_);
  Burst<1> burst;
  ASSERT_TRUE(burst.push(whole));
  EXPECT_EQ(tx.send(burst), 1U);
  for (const std::size_t bytes : {300U, 300U, 300U, 100U}) EXPECT_EQ(host_->receive(), Bytes(bytes, 0x42));
  EXPECT_EQ(host_->receive(), Bytes());
  EXPECT_EQ(port_->stats().tx_packets, refused ? 4U : 1U);
}

TEST_F(TapOffload, TheKernelLeavesSegmentationToUs) {
  if ((port_->offloads().tx_flags & TxOffload::udp_segmentation) == 0) GTEST_SKIP() << "the kernel is older than 6.2";
  host_.reset();
  port_.reset();
  port_ = started("tap:plxs?superframes");
  host_ = std::make_unique<KernelHost>("plxs", port_->mac());
  host_->listen();
  Bytes payload(1000);
  for (std::size_t i = 0; i < payload.size(); ++i) payload[i] = static_cast<std::uint8_t>(i / 100 + i);
  host_->send_segments(payload, 300);
  MbufPtr whole = receive_packet(kUdp);
  ASSERT_NE(whole, nullptr);
  EXPECT_EQ(whole->packet_length(), 42U + 1000);
  EXPECT_EQ(
      whole->tx_offload(),
      (TxOffload{
          .flags = TxOffload::udp_segmentation, .l2 = 14, .l3 = 20, .l4 = 8, .segment_size = std::uint16_t{300}}));
  const Bytes bytes_before(whole->bytes().begin(), whole->bytes().end());
  ASSERT_TRUE(request_checksums(*whole, whole->tx_offload()));
  EXPECT_EQ(Bytes(whole->bytes().begin(), whole->bytes().end()), bytes_before)
      << "the sum of a request's pseudo-header";
  Segmenter segmenter;
  ASSERT_TRUE(segmenter.start(whole, {}));
  Burst<8> segments;
  ASSERT_EQ(segmenter.next(cache_, segments), Segmenter::Outcome::complete);
  Bytes received;
  for (Mbuf& segment : segments) {
    const Bytes bytes(segment.bytes().begin(), segment.bytes().end());
    EXPECT_EQ(transport_sum(bytes), 0xFFFFU);
    received.insert(received.end(), bytes.begin() + 42, bytes.end());
  }
  EXPECT_EQ(segments.size(), 4U);
  EXPECT_EQ(received, payload);
  DropCounter seen("seen");
  segments.drop(seen, cache_);
}

TEST_F(TapOffload, TheKernelAnswersAPartialTcpSegment) {
  MbufPtr syn = make_mbuf(make_packet(kTcp, make_syn()));
  ASSERT_TRUE(
      request_checksums(*syn, {.flags = TxOffload::ipv4_checksum | TxOffload::tcp_checksum, .l2 = 14, .l3 = 20}));
  send_mbuf(std::move(syn));
  const MbufPtr answer = receive_packet(kTcp);
  ASSERT_NE(answer, nullptr) << "the kernel does not answer a bad segment";
  EXPECT_EQ(answer->data()[47], 0x12) << "SYN and ACK";
  expect_partial(*answer, TxOffload::tcp_checksum);
}

TEST_F(TapOffload, WhatTheKernelSendsArrivesPartial) {
  host_->send(Bytes(501, 0x17));
  const MbufPtr frame = receive_packet(kUdp);
  ASSERT_NE(frame, nullptr);
  expect_partial(*frame, TxOffload::udp_checksum);
  EXPECT_EQ(frame->packet_length(), 42U + 501);
}

TEST_F(TapOffload, APartialChecksumIsCompletedInACapture) {
  host_->send(Bytes(100, 0x17));
  MbufPtr frame = receive_packet(kUdp);
  ASSERT_NE(frame, nullptr);
  Port capture = started("pcap:out=" + file("out.pcap"));
  Burst<1> burst;
  ASSERT_TRUE(burst.push(frame));
  ASSERT_EQ(capture.tx(0).tx_burst(burst), 1U);
  Port reader = started("pcap:in=" + file("out.pcap"));
  ASSERT_TRUE(test::set_promiscuous(reader, true));
  const std::vector<Bytes> written = poll(reader);
  ASSERT_EQ(written.size(), 1U);
  EXPECT_EQ(transport_sum(written[0]), 0xFFFFU);
}

TEST_F(TapOffload, ComputesSctpItself) {
  MbufPtr mbuf = make_mbuf(make_packet(kSctp, Bytes(28, 1)));
  const TxOffload request{.flags = TxOffload::ipv4_checksum | TxOffload::sctp_checksum, .l2 = 14, .l3 = 20};
  ASSERT_TRUE(request_checksums(*mbuf, request));
  // A packet socket on the interface receives what the port writes.
  const int socket = ::socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(0x0800));
  ASSERT_GE(socket, 0);
  MbufPtr right = mbuf->clone(cache_);
  ASSERT_NE(right, nullptr);
  send_mbuf(std::move(mbuf));
  ASSERT_EQ(complete_checksums(*right), ChecksumCompletion::complete);
  Bytes seen(2048);
  const ssize_t count = ::recv(socket, seen.data(), seen.size(), 0);
  ::close(socket);
  ASSERT_GT(count, 0);
  seen.resize(static_cast<std::size_t>(count));
  EXPECT_EQ(seen, Bytes(right->bytes().begin(), right->bytes().end()));
}

/// The end of a TAP interface as another program opens it, without a virtio-net header.
class PlainTap {
 public:
  explicit PlainTap(const std::string& name) {
    ifreq request{};
    name.copy(request.ifr_name, IFNAMSIZ - 1);
    request.ifr_flags = IFF_TAP | IFF_NO_PI;
    EXPECT_EQ(::ioctl(file_, TUNSETIFF, &request), 0);
  }
  PlainTap(const PlainTap&) = delete;
  PlainTap& operator=(const PlainTap&) = delete;
  ~PlainTap() { ::close(file_); }
  void persist(bool on) { EXPECT_EQ(::ioctl(file_, TUNSETPERSIST, on ? 1UL : 0UL), 0); }
  [[nodiscard]] Bytes read() const {
    Bytes frame(2048);
    const ssize_t count = ::read(file_, frame.data(), frame.size());
    frame.resize(count < 0 ? 0 : static_cast<std::size_t>(count));
    return frame;
  }

 private:
  int file_ = ::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
};

TEST_F(TapOffload, DisablesTheChecksumOffloadWhenClosed) {
  host_.reset();
  port_.reset();
  PlainTap("plxq").persist(true);
  ASSERT_TRUE(started("tap:plxq").close());
  PlainTap next("plxq");
  const KernelHost host("plxq", {0x02, 0, 0, 0, 0, 1});
  host.listen();
  host.send(Bytes(64, 0x17));
  Bytes frame;
  do frame = next.read();
  while (!frame.empty() && (get16_at(frame, 12) != 0x0800 || frame.at(23) != kUdp));
  ASSERT_FALSE(frame.empty());
  EXPECT_EQ(transport_sum(frame), 0xFFFFU);
  next.persist(false);
}

}  // namespace
}  // namespace pollux::ports
