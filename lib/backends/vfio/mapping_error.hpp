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

/// A mapping that the kernel rejected.
struct RejectedMapping {
  const DmaSegment& segment;
  const std::vector<IovaRange>& ranges;
  int error_number;
  /// Bytes that this domain has pinned. Set if the kernel accounts them to the user, not to the process.
  std::optional<std::uint64_t> pinned = std::nullopt;
};

/// Finds the cause of a rejected mapping. The kernel returns ENOMEM both when RLIMIT_MEMLOCK is exceeded and when it is
/// out of memory. The two are told apart by the process's locked memory and its limit, computed as the kernel does
/// (Linux, drivers/vfio/vfio_iommu_type1.c, vfio_lock_acct; drivers/iommu/iommufd/pages.c, incr_user_locked_vm).
[[nodiscard]] Error explain_map_failure(const Host& host, const RejectedMapping& rejected);

/// The same for a container, which limits the number of mappings and now has `mappings` of them.
[[nodiscard]] Error explain_map_failure(const Host& host, const RejectedMapping& rejected, const Descriptor& container,
                                        std::size_t mappings);

}  // namespace pollux::vfio
