// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "pollux/mem/dma_domain.hpp"

namespace pollux {

/// A piece of DMA memory: contiguous for the process; for devices one or more segments.
struct DmaRegion {
  std::vector<DmaSegment> segments;  ///< adjacent in the process, at least one
  std::uint64_t place = 0;           ///< start of its range in the IovaSpace and, if `own`, in the arena
  std::size_t page_size = 0;         ///< bytes
  bool own = true;                   ///< from the arena; false: the application's memory
  bool locked = false;               ///< lock_pages locked it; false if it was locked before

  [[nodiscard]] std::byte* address() const { return segments.front().address; }
  [[nodiscard]] std::size_t size() const {
    return static_cast<std::size_t>(segments.back().address - address()) + segments.back().size;
  }
};

/// Bytes of an ordinary page.
[[nodiscard]] std::size_t ordinary_page_size();

}  // namespace pollux
