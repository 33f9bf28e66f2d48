// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "mem/context_state.hpp"
#include "pollux/base/error.hpp"
#include "pollux/mem/dma_memory.hpp"

namespace pollux::drivers::paravirtual {

/// Contiguous memory that a device accesses, all zero at first.
struct QueueMemory {
  std::byte* address = nullptr;
  std::uint64_t iova = 0;
  std::shared_ptr<const DmaMemory> memory;

  template <class T>
  [[nodiscard]] T* at(std::size_t offset) const noexcept {
    return reinterpret_cast<T*>(address + offset);
  }
};

/// Errors: those of ContextState::allocate; no_memory if it is not contiguous.
[[nodiscard]] Result<QueueMemory> allocate_queue_memory(ContextState& context, std::size_t bytes, int numa_node,
                                                        std::string_view port);

}  // namespace pollux::drivers::paravirtual
