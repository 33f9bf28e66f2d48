// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "drivers/virtio/queue/virtqueue.hpp"
#include "faked_virtio.hpp"
#include "minimal_loop.hpp"
#include "pollux/mem/context.hpp"
#include "setup.hpp"

namespace pollux::bench {

/// MinimalLoop on virtqueues, split or packed: it trusts that the device uses buffers in order, and has a frame in
/// each.
template <bool kPacked>
class MinimalVirtio {
 public:
  using Buffer = MinimalBuffer;
  static constexpr std::uint32_t kRing = 512;

  MinimalVirtio(Context& context, const Setup& setup);

  std::uint32_t rx_burst(Buffer** buffers, std::uint32_t limit) noexcept;
  std::uint32_t tx_burst(Buffer* const* buffers, std::uint32_t count) noexcept;

  [[nodiscard]] Buffer* take() noexcept { return stack_[--top_]; }
  void give(Buffer* buffer) noexcept { stack_[top_++] = buffer; }
  [[nodiscard]] static std::uint8_t* frame(Buffer* buffer) noexcept { return buffer->data.data() + kFrameAt; }

  [[nodiscard]] FakedVirtqueue& receiver() { return rx_.device; }
  [[nodiscard]] FakedVirtqueue& sender() { return tx_.device; }

 private:
  static constexpr std::uint32_t kMask = kRing - 1;
  static constexpr std::uint32_t kFrameAt = 64;  // the header lies in the line before it
  struct Ring {
    drivers::virtio::Virtqueue memory;
    FakedVirtqueue device;
    std::array<Buffer*, kRing> slots{};
    std::uint32_t next = 0;
    std::uint32_t clean = 0;
    volatile std::uint16_t doorbell = 0;
  };
  void set_up(Ring& ring, Context& context, const Setup& setup);
  [[nodiscard]] std::uint64_t iova(const Buffer* buffer) const noexcept;
  /// Shows the device the entries before `index`.
  void publish(Ring& ring, std::uint32_t index) noexcept;
  /// Takes the buffers of all groups of 32 that the device has sent.
  void clean() noexcept;

  DmaMemory memory_;
  std::uint64_t to_iova_ = 0;
  Ring rx_;
  Ring tx_;
  std::vector<Buffer*> stack_;
  std::uint32_t top_ = 0;
};

}  // namespace pollux::bench
