// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "pollux/base/error.hpp"
#include "pollux/base/log.hpp"
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

/// Log messages that are written after a lock is released, since the log callback may call the Context.
using PendingLog = std::vector<std::pair<LogLevel, std::string>>;

/// Bytes of an ordinary page.
[[nodiscard]] std::size_t ordinary_page_size();

/// Whether the region must be locked. Huge pages are never swapped out and need no lock.
[[nodiscard]] bool needs_lock(const DmaRegion& region);
/// Locks the region's pages in memory. Error: memlock_too_small, with the limit that is needed.
[[nodiscard]] Result<void> lock_pages(DmaRegion& region);
/// Undoes lock_pages. Locks do not nest, so memory that the application had locked before stays locked.
void unlock_pages(DmaRegion& region);

/// The segments of a region of huge pages for devices without address translation: one for each run of physically
/// contiguous pages.
/// Errors: device_fault if an address from `addresses` is impossible for a huge page, and the errors of `addresses`.
[[nodiscard]] Result<std::vector<DmaSegment>> physical_segments(const PhysicalAddresses& addresses,
                                                                const DmaRegion& region);

}  // namespace pollux
