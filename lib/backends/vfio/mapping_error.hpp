// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "backends/vfio/descriptor.hpp"
#include "pollux/base/error.hpp"
#include "pollux/mem/dma_domain.hpp"

namespace pollux::vfio {

/// A mapping that the kernel refused.
struct RefusedMapping {
  const DmaSegment& segment;
  const std::vector<IovaRange>& ranges;
  int error_number;
  /// Bytes that this domain has pinned, where the kernel counts them for the user and not for the process.
  std::optional<std::uint64_t> pinned = std::nullopt;
};

/// Finds out why. The kernel answers ENOMEM for RLIMIT_MEMLOCK and for memory alike; which of them it was is worked out
/// from what the process has locked and may lock, as the kernel does (Linux, drivers/vfio/vfio_iommu_type1.c,
/// vfio_lock_acct; drivers/iommu/iommufd/pages.c, incr_user_locked_vm).
[[nodiscard]] Error explain_map_failure(const Host& host, const RefusedMapping& refused);

/// The same for a container, which takes a limited number of mappings and has `mappings` of them.
[[nodiscard]] Error explain_map_failure(const Host& host, const RefusedMapping& refused, const Descriptor& container,
                                        std::size_t mappings);

}  // namespace pollux::vfio
