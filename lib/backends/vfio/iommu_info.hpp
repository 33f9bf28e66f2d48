// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "backends/vfio/descriptor.hpp"
#include "pollux/base/error.hpp"
#include "pollux/mem/dma_domain.hpp"

namespace pollux::vfio {

/// What a type1 container says of its IOMMU.
struct IommuInfo {
  std::vector<IovaRange> ranges;               ///< usable addresses, ascending; never empty
  std::optional<std::uint32_t> mappings_left;  ///< mappings the container still takes; not every kernel tells
};

/// VFIO_IOMMU_GET_INFO. A kernel without the range capability gets what three levels
/// of page tables translate: 39 bits but for the interrupt window at 0xfee00000. Error `device_fault` if what it says
/// cannot be true.
[[nodiscard]] Result<IommuInfo> read_iommu_info(const Descriptor& container);

/// Appends what a kernel says is a further range. Error `device_fault` unless it lies behind those before it.
[[nodiscard]] Result<void> add_range(std::vector<IovaRange>& ranges, const IovaRange& range);
/// Error `device_fault` for a list without any.
[[nodiscard]] Result<void> check_some(const std::vector<IovaRange>& ranges);

}  // namespace pollux::vfio
