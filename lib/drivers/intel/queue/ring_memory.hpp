// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "hw/intel/descriptors.hpp"
#include "mem/context_state.hpp"
#include "net/validated_config.hpp"
#include "pollux/mem/dma_memory.hpp"

namespace pollux::drivers::intel {

/// Where one ring lies.
struct Ring {
  hw::intel::Descriptor* descriptors = nullptr;
  std::uint64_t iova = 0;
  std::uint32_t size = 0;  ///< descriptors

  [[nodiscard]] std::uint32_t bytes() const noexcept {
    return size * static_cast<std::uint32_t>(sizeof(hw::intel::Descriptor));
  }
};

/// All rings of a port in one piece of DMA memory, none across a segment. Free it only when the card does no DMA any
/// more.
class RingMemory {
 public:
  RingMemory() = default;
  /// Errors: those of Context::allocate; no_memory where a ring does not fit a segment.
  [[nodiscard]] static Result<RingMemory> allocate(ContextState& context, const ValidatedConfig& config, int numa_node,
                                                   std::string_view port);

  [[nodiscard]] const Ring& rx(std::uint32_t queue) const { return rx_[queue]; }
  [[nodiscard]] const Ring& tx(std::uint32_t queue) const { return tx_[queue]; }

 private:
  DmaMemory memory_;
  std::vector<Ring> rx_;
  std::vector<Ring> tx_;
};

}  // namespace pollux::drivers::intel
