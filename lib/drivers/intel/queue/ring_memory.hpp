// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "hw/intel/descriptors.hpp"
#include "mem/context_state.hpp"
#include "net/queue_caches.hpp"
#include "pollux/mem/dma_memory.hpp"
#include "pollux/net/port_driver.hpp"

namespace pollux::drivers::intel {

/// The memory of one ring.
struct Ring {
  hw::intel::Descriptor* descriptors = nullptr;
  std::uint64_t iova = 0;
  std::uint32_t size = 0;  ///< descriptors

  [[nodiscard]] std::uint32_t bytes() const noexcept {
    return size * static_cast<std::uint32_t>(sizeof(hw::intel::Descriptor));
  }
};

/// All rings of a port in one DMA memory. No ring crosses a segment. Free it only after the card has ended DMA.
class RingMemory {
 public:
  RingMemory() = default;
  /// Errors: those of Context::allocate; no_memory if a ring does not fit into a segment.
  [[nodiscard]] static Result<RingMemory> allocate(ContextState& context, const PlacedQueues& config, int numa_node,
                                                   std::string_view port);

  /// A ring in memory of its own, to take the place of another.
  struct Single {
    DmaMemory memory;
    Ring ring;
  };
  /// Errors: as `allocate`.
  [[nodiscard]] static Result<Single> allocate_one(ContextState& context, std::uint32_t size, int numa_node,
                                                   std::string_view port);
  /// Frees the memory of a ring that an earlier call put here; memory from `allocate` stays allocated.
  void exchange(QueueId queue, Single ring) noexcept;

  [[nodiscard]] const Ring& rx(std::uint32_t queue) const { return rx_[queue]; }
  [[nodiscard]] const Ring& tx(std::uint32_t queue) const { return tx_[queue]; }

 private:
  DmaMemory memory_;
  std::vector<Ring> rx_;
  std::vector<Ring> tx_;
  std::vector<DmaMemory> rx_exchanged_;  // by queue
  std::vector<DmaMemory> tx_exchanged_;
};

}  // namespace pollux::drivers::intel
