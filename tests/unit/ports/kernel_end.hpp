// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/ethtool.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <string>

#include "fixture.hpp"

namespace pollux::ports {

/// The kernel's end of an interface.
class KernelEnd {
 public:
  /// `type`: of the frames that it sends and receives.
  explicit KernelEnd(const std::string& name, std::uint16_t type = kEtherType)
      : name_(name), socket_(::socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(type))) {
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(type);
    address.sll_ifindex = static_cast<int>(::if_nametoindex(name.c_str()));
    EXPECT_EQ(::bind(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  KernelEnd(const KernelEnd&) = delete;
  KernelEnd& operator=(const KernelEnd&) = delete;
  ~KernelEnd() { ::close(socket_); }

  static constexpr std::uint16_t kEtherType = 0x88B5;

  void send(const Bytes& frame) {
    EXPECT_EQ(::send(socket_, frame.data(), frame.size(), 0), static_cast<ssize_t>(frame.size()));
  }
  Bytes receive() {
    Bytes frame(65536);
    const ssize_t bytes = ::recv(socket_, frame.data(), frame.size(), 0);
    frame.resize(bytes < 0 ? 0 : static_cast<std::size_t>(bytes));
    return frame;
  }
  [[nodiscard]] int mtu() const {
    ifreq request = named();
    return ::ioctl(socket_, SIOCGIFMTU, &request) == 0 ? request.ifr_mtu : -1;
  }
  /// Otherwise the kernel chooses one of its queues by a hash that differs after each boot.
  void send_on_one_queue() {
    ethtool_channels channels{};
    channels.cmd = ETHTOOL_GCHANNELS;
    ifreq request = named();
    request.ifr_data = reinterpret_cast<char*>(&channels);
    EXPECT_EQ(::ioctl(socket_, SIOCETHTOOL, &request), 0);
    channels.cmd = ETHTOOL_SCHANNELS;
    channels.tx_count = 1;
    EXPECT_EQ(::ioctl(socket_, SIOCETHTOOL, &request), 0);
  }
  void take_down() {
    ifreq request = named();
    EXPECT_EQ(::ioctl(socket_, SIOCSIFFLAGS, &request), 0);
  }
  /// As "ip link delete" does (rtnetlink(7), RTM_DELLINK).
  void remove() {
    struct {
      nlmsghdr header{};
      ifinfomsg link{};
    } request;
    request.header.nlmsg_len = sizeof request;
    request.header.nlmsg_type = RTM_DELLINK;
    request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
    request.link.ifi_index = static_cast<int>(::if_nametoindex(name_.c_str()));
    const int netlink = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    EXPECT_EQ(::send(netlink, &request, sizeof request, 0), static_cast<ssize_t>(sizeof request));
    struct {
      nlmsghdr header{};
      nlmsgerr error{};
    } answer;
    EXPECT_GT(::recv(netlink, &answer, sizeof answer, 0), 0);
    EXPECT_EQ(answer.error.error, 0);
    ::close(netlink);
  }

 private:
  [[nodiscard]] ifreq named() const {
    ifreq request{};
    name_.copy(request.ifr_name, IFNAMSIZ - 1);
    return request;
  }

  std::string name_;
  int socket_;
};

/// The frame with the EtherType that KernelEnd receives.
[[nodiscard]] inline Bytes ether(Bytes frame) {
  frame[12] = KernelEnd::kEtherType >> 8;
  frame[13] = KernelEnd::kEtherType & 0xFF;
  return frame;
}

}  // namespace pollux::ports
