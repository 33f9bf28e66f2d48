// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <net/ethernet.h>
#include <sys/socket.h>

#include <memory>

#include "packet_socket.hpp"
#include "work.hpp"

namespace baselines {

/// The workload on packet sockets. A burst is one sendmmsg, which bypasses the queueing disciplines, or one recvmmsg,
/// which does not wait.
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
    for (const std::string& interface : interfaces) {
      sockets_.push_back(std::make_unique<PacketSocket>(interface, ETH_P_ALL));
      sockets_.back()->bind();
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
    // Unsent frames would have to move to the front of the array. But all frames are equal, so a smaller count is
    // enough.
    const int sent = sendmmsg(sockets_[port]->descriptor(), packets.messages_.data(), packets.count_, 0);
    if (sent > 0) packets.count_ -= static_cast<std::uint32_t>(sent);
  }
  template <unsigned B>
  void rx(unsigned port, Packets<B>& packets) noexcept {
    const int received = recvmmsg(sockets_[port]->descriptor(), packets.messages_.data() + packets.count_,
                                  B - packets.count_, MSG_DONTWAIT, nullptr);
    if (received > 0) packets.count_ += static_cast<std::uint32_t>(received);
  }
  template <unsigned B>
  void free(Packets<B>& packets) noexcept {
    packets.count_ = 0;
  }

 private:
  std::vector<std::unique_ptr<PacketSocket>> sockets_;
};

}  // namespace baselines
