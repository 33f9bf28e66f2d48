// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <vector>

#include "backends/vfio/descriptor.hpp"
#include "pollux/base/error.hpp"
#include "pollux/mem/dma_domain.hpp"

namespace pollux::vfio {

/// A VFIO_IOMMU_MAP_DMA that the kernel refused.
struct RefusedMapping {
  const DmaSegment& segment;
  std::size_t mappings;  ///< how many the container had
  const std::vector<IovaRange>& ranges;
  int error_number;
};

/// Finds out why. The kernel answers ENOMEM for RLIMIT_MEMLOCK and for memory alike; which of them it was is worked out
/// from what the process has locked and may lock, as the kernel does (Linux, drivers/vfio/vfio_iommu_type1.c,
/// vfio_lock_acct).
[[nodiscard]] Error explain_map_failure(const Host& host, const Descriptor& container, const RefusedMapping& refused);

}  // namespace pollux::vfio
