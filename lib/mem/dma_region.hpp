// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "pollux/mem/dma_domain.hpp"

namespace pollux {

/// A piece of memory that devices reach: contiguous for the process, in one or more segments for devices.
struct DmaRegion {
  std::vector<DmaSegment> segments;  ///< side by side in the process, at least one
  std::uint64_t place = 0;           ///< what it takes of the IovaSpace and, if `own`, of the arena
  std::size_t page_size = 0;         ///< bytes
  bool own = true;                   ///< from the arena; else the application's memory
  bool locked = false;               ///< lock_pages locked it, and not the application before that

  [[nodiscard]] std::byte* address() const { return segments.front().address; }
  [[nodiscard]] std::size_t size() const {
    return static_cast<std::size_t>(segments.back().address - address()) + segments.back().size;
  }
};

/// Bytes of an ordinary page.
[[nodiscard]] std::size_t ordinary_page_size();

}  // namespace pollux
