// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "ports/xdp/rings.hpp"

namespace pollux::test {

/// A ring of an AF_XDP socket in plain memory, seen from the kernel's side.
template <class Entry>
class FakedXdpRing {
 public:
  explicit FakedXdpRing(std::uint32_t slots) : entries_(slots) {}

  [[nodiscard]] xdp::Ring<Entry> ours() {
    return {.producer = &producer_,
            .consumer = &consumer_,
            .flags = &flags_,
            .entries = entries_.data(),
            .mask = static_cast<std::uint32_t>(entries_.size() - 1)};
  }
  [[nodiscard]] std::uint32_t count() const { return producer_ - consumer_; }
  void put(const Entry& entry) { entries_[producer_++ % entries_.size()] = entry; }
  /// What `take` will return.
  [[nodiscard]] const Entry& next() const { return entries_[consumer_ % entries_.size()]; }
  [[nodiscard]] Entry take() { return entries_[consumer_++ % entries_.size()]; }
  void ask_for_wakeups() { flags_ = XDP_RING_NEED_WAKEUP; }

 private:
  std::uint32_t producer_ = 0;
  std::uint32_t consumer_ = 0;
  std::uint32_t flags_ = 0;
  std::vector<Entry> entries_;
};

/// An AF_XDP socket whose kernel is the test.
struct FakedXdpSocket {
  explicit FakedXdpSocket(std::uint32_t slots) : rx(slots), tx(slots), fill(slots), completion(slots) {}

  [[nodiscard]] xdp::Rings rings() { return {rx.ours(), tx.ours(), fill.ours(), completion.ours()}; }
  /// A frame arrives in the next chunk of the fill ring, `offset` bytes from its start.
  void receive(std::uint64_t offset, std::uint32_t length, std::uint32_t options = 0) {
    rx.put({.addr = fill.take() | offset << XSK_UNALIGNED_BUF_OFFSET_SHIFT, .len = length, .options = options});
  }
  /// The kernel has sent the next descriptor.
  void send() { completion.put(tx.take().addr); }

  FakedXdpRing<xdp_desc> rx, tx;
  FakedXdpRing<std::uint64_t> fill, completion;
};

}  // namespace pollux::test
