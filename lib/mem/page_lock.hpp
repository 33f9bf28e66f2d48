// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "mem/dma_region.hpp"
#include "pollux/base/error.hpp"

namespace pollux {

/// Whether the region must be locked. Huge pages are never swapped out and need no lock.
[[nodiscard]] bool needs_lock(const DmaRegion& region);
/// Locks the region's pages in memory. Error: memlock_too_small, with the limit that is needed.
[[nodiscard]] Result<void> lock_pages(DmaRegion& region);
/// Undoes lock_pages. Locks do not nest, so memory that the application had locked before stays locked.
void unlock_pages(DmaRegion& region);

}  // namespace pollux
