// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>

#include "pollux/mem/dma_domain.hpp"

namespace pollux {

/// A piece of memory that devices reach.
struct DmaRegion {
  DmaSegment segment;
  std::size_t page_size = 0;  ///< bytes
  bool own = true;            ///< from the arena; else the application's memory
};

/// Bytes of an ordinary page.
[[nodiscard]] std::size_t ordinary_page_size();

}  // namespace pollux
