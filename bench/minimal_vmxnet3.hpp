// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "drivers/paravirtual/queue_memory.hpp"
#include "faked_vmxnet3.hpp"
#include "minimal_loop.hpp"
#include "pollux/mem/context.hpp"
#include "setup.hpp"

namespace pollux::bench {

/// MinimalLoop on the rings of a vmxnet3 device: it trusts that the device uses buffers of the first ring in order, has
/// a frame in each, and completes each frame that it sends.
class MinimalVmxnet3 {
 public:
  using Buffer = MinimalBuffer;
  static constexpr std::uint32_t kRing = 512;

  MinimalVmxnet3(Context& context, const Setup& setup);

  std::uint32_t rx_burst(Buffer** buffers, std::uint32_t limit) noexcept;
  std::uint32_t tx_burst(Buffer* const* buffers, std::uint32_t count) noexcept;

  [[nodiscard]] Buffer* take() noexcept { return stack_[--top_]; }
  void give(Buffer* buffer) noexcept { stack_[top_++] = buffer; }
  [[nodiscard]] static std::uint8_t* frame(Buffer* buffer) noexcept { return buffer->data.data() + kFrameAt; }

  [[nodiscard]] FakedVmxnet3Queue& receiver() { return rx_.device; }
  [[nodiscard]] FakedVmxnet3Queue& sender() { return tx_.device; }

 private:
  static constexpr std::uint32_t kMask = kRing - 1;
  static constexpr std::uint32_t kFrameAt = 64;
  struct Ring {
    drivers::paravirtual::QueueMemory memory;
    FakedVmxnet3Queue device;
    hw::vmxnet3::Descriptor* descriptors = nullptr;
    const hw::vmxnet3::Completion* completions = nullptr;
    std::array<Buffer*, kRing> slots{};
    std::uint32_t next = 0;   // position of the next descriptor; of a receive ring, of the next completion, too
    std::uint32_t clean = 0;  // position of the next completion of a transmit ring
    volatile std::uint32_t doorbell = 0;
  };
  /// `completions`: entries.
  void set_up(Ring& ring, Context& context, const Setup& setup, std::uint32_t completions);
  [[nodiscard]] std::uint64_t iova(const Buffer* buffer) const noexcept;
  void clean() noexcept;

  DmaMemory memory_;
  std::uint64_t to_iova_ = 0;
  Ring rx_;
  Ring tx_;
  std::vector<Buffer*> stack_;
  std::uint32_t top_ = 0;
};

}  // namespace pollux::bench
