// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <arpa/inet.h>
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

inline constexpr std::uint16_t kTheirPort = 2000;
inline constexpr std::uint16_t kOurPort = 1000;
inline constexpr std::uint8_t kTcp = 6;
inline constexpr std::uint8_t kUdp = 17;
inline constexpr std::uint8_t kSctp = 132;
inline constexpr std::array<std::uint8_t, 4> kTheirAddress{10, 20, 0, 1};
inline constexpr std::array<std::uint8_t, 4> kOurAddress{10, 20, 0, 2};

inline void put16_at(Bytes& bytes, std::size_t at, std::size_t number) {
  bytes.at(at) = static_cast<std::uint8_t>(number >> 8);
  bytes.at(at + 1) = static_cast<std::uint8_t>(number);
}

inline std::uint32_t get16_at(const Bytes& bytes, std::size_t at) {
  return static_cast<std::uint32_t>(bytes.at(at) << 8 | bytes.at(at + 1));
}

/// The folded sum of the 16-bit words of an IPv4 packet's pseudo-header and transport part: 0xFFFF if the checksum is
/// correct (RFC 1071).
inline std::uint32_t transport_sum(const Bytes& frame) {
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

}  // namespace pollux::ports
