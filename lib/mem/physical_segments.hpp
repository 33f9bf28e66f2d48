// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <vector>

#include "mem/dma_region.hpp"
#include "pollux/base/error.hpp"
#include "pollux/mem/dma_domain.hpp"

namespace pollux {

/// The segments of a region of huge pages for devices without address translation: one for each run of physically
/// contiguous pages.
/// Errors: device_fault if an address from `addresses` is impossible for a huge page, and the errors of `addresses`.
[[nodiscard]] Result<std::vector<DmaSegment>> physical_segments(const PhysicalAddresses& addresses,
                                                                const DmaRegion& region);

}  // namespace pollux
