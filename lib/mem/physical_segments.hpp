// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <vector>

#include "mem/dma_region.hpp"
#include "pollux/base/error.hpp"
#include "pollux/mem/dma_domain.hpp"

namespace pollux {

/// A region of huge pages as devices see it that nothing translates for: a segment for each run of pages that follow
/// each other in physical memory, too. Error `device_fault` if what `addresses` says cannot be true of a huge page, and
/// those of `addresses`.
[[nodiscard]] Result<std::vector<DmaSegment>> physical_segments(const PhysicalAddresses& addresses,
                                                                const DmaRegion& region);

}  // namespace pollux
