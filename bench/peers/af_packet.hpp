// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "work.hpp"

namespace peers {

/// The work on packet sockets: a burst is one sendmmsg, past the queueing disciplines, or one recvmmsg that does not
/// wait.
class AfPacketSide {
 public:
  template <unsigned B>
  class Packets {
   public:
    Packets() noexcept {
      for (unsigned i = 0; i < B; ++i) {
        vectors_[i] = {buffers_[i].data(), sizeof(Frame)};
        messages_[i].msg_hdr.msg_iov = &vectors_[i];
        messages_[i].msg_hdr.msg_iovlen = 1;
      }
    }
    [[nodiscard]] std::uint32_t size() const noexcept { return count_; }

   private:
    friend class AfPacketSide;
    std::array<std::array<std::uint8_t, 2048>, B> buffers_{};
    std::array<iovec, B> vectors_{};
    std::array<mmsghdr, B> messages_{};
    std::uint32_t count_ = 0;
  };

  explicit AfPacketSide(const std::vector<std::string>& interfaces) {
    for (std::size_t i = 0; i < interfaces.size(); ++i) sockets_[i] = open_socket(interfaces[i]);
  }
  AfPacketSide(const AfPacketSide&) = delete;
  AfPacketSide& operator=(const AfPacketSide&) = delete;
  ~AfPacketSide() {
    for (const int socket : sockets_) {
      if (socket >= 0) close(socket);
    }
  }

  template <unsigned B>
  bool alloc(Packets<B>& packets) noexcept {
    packets.count_ = B;
    return true;
  }
  template <unsigned B>
  void fill(Packets<B>& packets, const Frame& frame) noexcept {
    for (auto& buffer : packets.buffers_) std::memcpy(buffer.data(), frame.data(), frame.size());
  }
  template <unsigned B>
  void tx(unsigned port, Packets<B>& packets) noexcept {
    // What was not sent lies behind what was, and all frames are alike.
    const int sent = sendmmsg(sockets_[port], packets.messages_.data(), packets.count_, 0);
    if (sent > 0) packets.count_ -= static_cast<std::uint32_t>(sent);
  }
  template <unsigned B>
  void rx(unsigned port, Packets<B>& packets) noexcept {
    const int received =
        recvmmsg(sockets_[port], packets.messages_.data() + packets.count_, B - packets.count_, MSG_DONTWAIT, nullptr);
    if (received > 0) packets.count_ += static_cast<std::uint32_t>(received);
  }
  template <unsigned B>
  void free(Packets<B>& packets) noexcept {
    packets.count_ = 0;
  }

 private:
  static int open_socket(const std::string& interface) {
    const int socket = ::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETH_P_ALL);
    address.sll_ifindex = static_cast<int>(if_nametoindex(interface.c_str()));
    const int on = 1;
    if (socket < 0 || address.sll_ifindex == 0 ||
        setsockopt(socket, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on) != 0 ||
        setsockopt(socket, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) != 0 ||
        bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      give_up("a packet socket could not be opened");
    }
    return socket;
  }

  std::array<int, 2> sockets_{-1, -1};
};

}  // namespace peers
