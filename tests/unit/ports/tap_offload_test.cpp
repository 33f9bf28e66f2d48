// SPDX-License-Identifier: BSD-3-Clause
// Partial checksums between a TAP port and the kernel's own network stack, in both directions.
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <array>
#include <cstring>

#include "conformance/own_network.hpp"
#include "fixture.hpp"

namespace pollux::ports {
namespace {

constexpr std::uint16_t kTheirPort = 2000;
constexpr std::uint16_t kOurPort = 1000;
constexpr std::uint8_t kTcp = 6;
constexpr std::uint8_t kUdp = 17;
constexpr std::uint8_t kSctp = 132;
constexpr std::array<std::uint8_t, 4> kTheirAddress{10, 20, 0, 1};
constexpr std::array<std::uint8_t, 4> kOurAddress{10, 20, 0, 2};

void put16_at(Bytes& bytes, std::size_t at, std::size_t number) {
  bytes.at(at) = static_cast<std::uint8_t>(number >> 8);
  bytes.at(at + 1) = static_cast<std::uint8_t>(number);
}

std::uint32_t get16_at(const Bytes& bytes, std::size_t at) {
  return static_cast<std::uint32_t>(bytes.at(at) << 8 | bytes.at(at + 1));
}

/// The folded sum of the 16-bit words of an IPv4 packet's pseudo-header and transport part: 0xFFFF if the checksum is
/// correct (RFC 1071).
std::uint32_t transport_sum(const Bytes& frame) {
  constexpr std::size_t kIp = 14;
  const std::size_t end = kIp + get16_at(frame, kIp + 2);
  std::uint32_t sum = frame.at(kIp + 9) + static_cast<std::uint32_t>(end - kIp - 20);
  for (std::size_t i = kIp + 12; i < kIp + 20; i += 2) sum += get16_at(frame, i);
  for (std::size_t i = kIp + 20; i < end; ++i) sum += i % 2 == 0 ? std::uint32_t{frame.at(i)} << 8 : frame.at(i);
  while (sum >> 16 != 0) sum = (sum & 0xFFFF) + (sum >> 16);
  return sum;
}

/// The kernel as a host that is the link partner of a TAP port.
class KernelHost {
 public:
  KernelHost(std::string interface, const MacAddress& port) : interface_(std::move(interface)) {
    ifreq request = named();
    set_address(request.ifr_addr, kTheirAddress);
    EXPECT_EQ(::ioctl(control_, SIOCSIFADDR, &request), 0);
    set_address(request.ifr_netmask, {255, 255, 255, 0});
    EXPECT_EQ(::ioctl(control_, SIOCSIFNETMASK, &request), 0);
    arpreq neighbour{};
    set_address(neighbour.arp_pa, kOurAddress);
    neighbour.arp_ha.sa_family = ARPHRD_ETHER;
    std::memcpy(neighbour.arp_ha.sa_data, port.data(), port.size());
    neighbour.arp_flags = ATF_PERM | ATF_COM;
    interface_.copy(neighbour.arp_dev, sizeof neighbour.arp_dev - 1);
    EXPECT_EQ(::ioctl(control_, SIOCSARP, &neighbour), 0);
  }
  KernelHost(const KernelHost&) = delete;
  KernelHost& operator=(const KernelHost&) = delete;
  ~KernelHost() {
    for (const int one : {control_, udp_, tcp_}) ::close(one);
  }

  [[nodiscard]] MacAddress mac() const {
    ifreq request = named();
    EXPECT_EQ(::ioctl(control_, SIOCGIFHWADDR, &request), 0);
    MacAddress mac;
    std::memcpy(mac.data(), request.ifr_hwaddr.sa_data, mac.size());
    return mac;
  }
  void listen() const {
    bind(udp_);
    bind(tcp_);
    EXPECT_EQ(::listen(tcp_, 1), 0);
  }
  /// The datagram that arrived; empty if none did.
  [[nodiscard]] Bytes receive() const {
    Bytes bytes(2048);
    const ssize_t count = ::recv(udp_, bytes.data(), bytes.size(), 0);
    bytes.resize(count < 0 ? 0 : static_cast<std::size_t>(count));
    return bytes;
  }
  void send(const Bytes& bytes) const {
    sockaddr address{};
    set_address(address, kOurAddress, kOurPort);
    EXPECT_EQ(::sendto(udp_, bytes.data(), bytes.size(), 0, &address, sizeof address),
              static_cast<ssize_t>(bytes.size()));
  }
  /// Sends a datagram for every `size` bytes with one system call (Linux, Documentation/networking, UDP_SEGMENT).
  void send_segments(const Bytes& bytes, int size) const {
    constexpr int kUdpSegment = 103;
    EXPECT_EQ(::setsockopt(udp_, IPPROTO_UDP, kUdpSegment, &size, sizeof size), 0);
    send(bytes);
  }

 private:
  [[nodiscard]] ifreq named() const {
    ifreq request{};
    interface_.copy(request.ifr_name, IFNAMSIZ - 1);
    return request;
  }
  static void set_address(sockaddr& address, const std::array<std::uint8_t, 4>& ip, std::uint16_t port = 0) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(port);
    std::memcpy(&in.sin_addr, ip.data(), ip.size());
    std::memcpy(&address, &in, sizeof in);
  }
  static void bind(int socket) {
    sockaddr address{};
    set_address(address, kTheirAddress, kTheirPort);
    EXPECT_EQ(::bind(socket, &address, sizeof address), 0);
  }

  std::string interface_;
  int control_ = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  int udp_ = ::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  int tcp_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
};

class TapOffload : public PortFixture {
 protected:
  void SetUp() override {
    if (const auto obstacle = conformance::own_network_obstacle()) GTEST_SKIP() << *obstacle;
    conformance::enter_own_network();
    port_ = started("tap:plxo");
    host_ = std::make_unique<KernelHost>("plxo", port_->mac());
    host_->listen();
  }

  /// A packet for the host without any checksum.
  [[nodiscard]] Bytes make_packet(std::uint8_t protocol, const Bytes& carried) {
    Bytes frame(34);
    const MacAddress to = host_->mac();
    const MacAddress from = port_->mac();
    std::copy(to.begin(), to.end(), frame.begin());
    std::copy(from.begin(), from.end(), frame.begin() + 6);
    put16_at(frame, 12, 0x0800);
    frame[14] = 0x45;
    put16_at(frame, 16, 20 + carried.size());
    frame[22] = 64;
    frame[23] = protocol;
    std::copy(kOurAddress.begin(), kOurAddress.end(), frame.begin() + 26);
    std::copy(kTheirAddress.begin(), kTheirAddress.end(), frame.begin() + 30);
    frame.insert(frame.end(), carried.begin(), carried.end());
    return frame;
  }
  [[nodiscard]] static Bytes make_datagram(const Bytes& payload) {
    Bytes datagram(8);
    put16_at(datagram, 0, kOurPort);
    put16_at(datagram, 2, kTheirPort);
    put16_at(datagram, 4, 8 + payload.size());
    datagram.insert(datagram.end(), payload.begin(), payload.end());
    return datagram;
  }
  /// A TCP segment that requests a connection.
  [[nodiscard]] static Bytes make_syn() {
    Bytes segment(20);
    put16_at(segment, 0, kOurPort);
    put16_at(segment, 2, kTheirPort);
    put16_at(segment, 6, 77);  // sequence number
    segment[12] = 0x50;
    segment[13] = 0x02;  // SYN
    put16_at(segment, 14, 8192);
    return segment;
  }
  void send_mbuf(MbufPtr mbuf) {
    Burst<1> burst;
    ASSERT_TRUE(burst.push(mbuf));
    ASSERT_EQ(port_->tx(0).tx_burst(burst), 1U);
  }
  /// The next IPv4 packet of a protocol that the kernel sent.
  [[nodiscard]] MbufPtr receive_packet(std::uint8_t protocol) {
    Burst<1> burst;
    while (port_->rx(0).rx_burst(burst) != 0) {
      MbufPtr frame = burst.pop();
      Bytes bytes(frame->packet_length());
      static_cast<void>(frame->copy_out(0, bytes));
      if (bytes.size() > 34 && get16_at(bytes, 12) == 0x0800 && bytes[23] == protocol) return frame;
    }
    return {};
  }
  /// Expects that the kernel sent a partial checksum, and that completing it gives a correct one.
  static void expect_partial(Mbuf& frame, std::uint32_t flag) {
    EXPECT_EQ(frame.rx_format(), RxFormat::virtio_net);
    EXPECT_EQ(RxMetadata(frame).l4_checksum(), ChecksumStatus::partial);
    EXPECT_EQ(frame.tx_offload(), (TxOffload{.flags = flag, .l2 = 14, .l3 = 20}));
    EXPECT_NE(transport_sum({frame.bytes().begin(), frame.bytes().end()}), 0xFFFFU);
    EXPECT_EQ(complete_checksums(frame), ChecksumCompletion::complete);
    EXPECT_EQ(transport_sum({frame.bytes().begin(), frame.bytes().end()}), 0xFFFFU);
  }

  std::optional<Port> port_;
  std::unique_ptr<KernelHost> host_;
};

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
  ASSERT_TRUE(reader.set_promiscuous(true));
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
