// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "faked_card.hpp"
#include "hw/intel/descriptors.hpp"
#include "pollux/mem/context.hpp"
#include "setup.hpp"

namespace pollux::bench {

/// What a program asks of the card for a frame, as wide as Pollux's TxOffload that checksums need.
struct MinimalRequest {
  std::uint64_t flags = 0;
  std::uint64_t lengths = 0;

  [[nodiscard]] bool operator==(const MinimalRequest&) const noexcept = default;
};

struct MinimalBuffer {
  // In the order of a descriptor that was written back.
  std::uint32_t status;
  std::uint32_t length;
  std::uint64_t low;  // its first word, and the VLAN tag: only by rx_burst_whole
  std::uint64_t vlan;
  MinimalRequest request;
  std::array<std::uint8_t, 24> rest_of_line;
  std::array<std::uint8_t, 2240> data;
};

/// Minimal code that forwards between the faked card's rings: one cache line of metadata per frame, no checks, no
/// errors, no chains, and a stack as the pool. Code that uses these rings and keeps metadata cannot cost much less on
/// the same machine, so a ratio to this loop says more than cycles do. The ring size `Slots` is a constant;
/// minimal_loop.cpp lists the sizes.
template <std::uint32_t Slots>
class MinimalLoop {
 public:
  /// Places rings and buffers in memory of `context` and writes the ring registers of `card`. With `full`, every
  /// transmit slot has a buffer that is done, which `fused` needs.
  MinimalLoop(Context& context, FakedCard& card, const Setup& setup, bool full = false);

  using Buffer = MinimalBuffer;

  std::uint32_t rx_burst(Buffer** buffers, std::uint32_t limit) noexcept;
  /// The same, and keeps all that the card has reported: hash, type, checksums and tag.
  std::uint32_t rx_burst_whole(Buffer** buffers, std::uint32_t limit) noexcept;
  std::uint32_t tx_burst(Buffer* const* buffers, std::uint32_t count) noexcept;
  /// The same for packets of IPv4 and TCP whose request is kRequest, which the card's context is taken to describe
  /// already: the checksum of IPv4 is cleared, and both are inserted. It ends at a frame with another request.
  std::uint32_t tx_burst_checksums(Buffer* const* buffers, std::uint32_t count) noexcept;
  static constexpr MinimalRequest kRequest{.flags = 3, .lengths = 20 << 9 | 14};
  /// Forwards by exchanging the buffers of a receive and a transmit slot, without a stack and without metadata.
  std::uint32_t fused(std::uint32_t limit) noexcept;

  [[nodiscard]] Buffer* take() noexcept { return stack_[--top_]; }
  void give(Buffer* buffer) noexcept { stack_[top_++] = buffer; }

 protected:
  static constexpr std::uint32_t kMask = Slots - 1;
  struct Ring {
    hw::intel::Descriptor* descriptors = nullptr;
    std::array<Buffer*, Slots> slots{};
    std::uint32_t next = 0;
    std::uint32_t clean = 0;
    volatile std::uint32_t* tail = nullptr;
  };
  [[nodiscard]] std::uint64_t iova(const Buffer* buffer) const noexcept {
    return reinterpret_cast<std::uintptr_t>(buffer->data.data()) + to_iova_;
  }

  template <bool Whole>
  std::uint32_t receive(Buffer** buffers, std::uint32_t limit) noexcept;
  template <bool Checksums>
  std::uint32_t send(Buffer* const* buffers, std::uint32_t count) noexcept;
  /// Takes the buffers of all groups of 32 that the card has sent. Returns the number of slots in use.
  std::uint32_t clean() noexcept;

  DmaMemory memory_;
  std::uint64_t to_iova_ = 0;
  Ring rx_;
  Ring tx_;
  std::vector<Buffer*> stack_;
  std::uint32_t top_ = 0;
};

/// The same with SIMD, four descriptors at a time. Other counts are left to the scalar loop.
class MinimalAvx2 : public MinimalLoop<512> {
 public:
  using MinimalLoop::MinimalLoop;
  std::uint32_t rx_burst(Buffer** buffers, std::uint32_t limit) noexcept;
  std::uint32_t tx_burst(Buffer* const* buffers, std::uint32_t count) noexcept;
};

class MinimalAvx512 : public MinimalLoop<512> {
 public:
  using MinimalLoop::MinimalLoop;
  std::uint32_t rx_burst(Buffer** buffers, std::uint32_t limit) noexcept;
  std::uint32_t tx_burst(Buffer* const* buffers, std::uint32_t count) noexcept;
};

}  // namespace pollux::bench
