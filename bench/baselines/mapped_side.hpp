// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>

#include "work.hpp"

namespace baselines {

/// The work on sockets whose frames are in memory that is shared with the kernel. A `Socket` is constructed from an
/// interface's name, and has
///
///     std::uint32_t send(const Frame&, std::uint32_t count)    enqueues up to `count` copies, returns their number
///     std::uint32_t receive(std::uint32_t limit)               dequeues and frees frames, returns their number
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
  // The copy into the shared memory is made by tx.
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
