// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>

#include "work.hpp"

namespace baselines {

/// The work on sockets whose frames lie in memory that is shared with the kernel. A `Socket` is made from an
/// interface's name, and has
///
///     std::uint32_t send(const Frame&, std::uint32_t count)    up to so many copies of it; how many were taken
///     std::uint32_t receive(std::uint32_t limit)               how many came; their memory goes back to the kernel
template <class Socket>
class MappedSide {
 public:
  template <unsigned B>
  class Packets {
   public:
    [[nodiscard]] std::uint32_t size() const noexcept { return count_; }

   private:
    friend class MappedSide;
    std::uint32_t count_ = 0;
    Frame frame_{};
  };

  explicit MappedSide(const std::vector<std::string>& interfaces) {
    for (const std::string& interface : interfaces) sockets_.push_back(std::make_unique<Socket>(interface));
  }

  template <unsigned B>
  bool alloc(Packets<B>& packets) noexcept {
    packets.count_ = B;
    return true;
  }
  // The frame is written where it is sent from: in tx.
  template <unsigned B>
  void fill(Packets<B>& packets, const Frame& frame) noexcept {
    packets.frame_ = frame;
  }
  template <unsigned B>
  void tx(unsigned port, Packets<B>& packets) noexcept {
    packets.count_ -= sockets_[port]->send(packets.frame_, packets.count_);
  }
  template <unsigned B>
  void rx(unsigned port, Packets<B>& packets) noexcept {
    packets.count_ += sockets_[port]->receive(B - packets.count_);
  }
  template <unsigned B>
  void free(Packets<B>& packets) noexcept {
    packets.count_ = 0;
  }

 private:
  std::vector<std::unique_ptr<Socket>> sockets_;
};

}  // namespace baselines
