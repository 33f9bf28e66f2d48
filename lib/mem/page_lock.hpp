// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "mem/dma_region.hpp"
#include "pollux/base/error.hpp"

namespace pollux {

/// Huge pages are never moved to swap and need no lock.
[[nodiscard]] bool needs_lock(const DmaRegion& region);
/// Keeps the region's pages in memory. Error: memlock_too_small, with the limit that it takes.
[[nodiscard]] Result<void> lock_pages(const DmaRegion& region);
/// Only the arena's memory: locks do not nest, so the application's own may have been locked by itself before.
void unlock_pages(const DmaRegion& region);

}  // namespace pollux
