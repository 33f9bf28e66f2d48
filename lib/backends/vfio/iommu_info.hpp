// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "backends/vfio/descriptor.hpp"
#include "pollux/base/error.hpp"
#include "pollux/mem/dma_domain.hpp"

namespace pollux::vfio {

/// A type1 container's description of its IOMMU.
struct IommuInfo {
  std::vector<IovaRange> ranges;               ///< usable addresses, ascending; never empty
  std::optional<std::uint32_t> mappings_left;  ///< further mappings the container allows; absent on older kernels
};

/// Runs VFIO_IOMMU_GET_INFO. For a kernel without the range capability it assumes the 39 bits that three levels of page
/// tables translate, without the interrupt window at 0xfee00000. Error `device_fault` for an inconsistent reply.
[[nodiscard]] Result<IommuInfo> read_iommu_info(const Descriptor& container);

/// Appends a range that the kernel reported. Error `device_fault` unless it lies above all ranges before it.
[[nodiscard]] Result<void> add_range(std::vector<IovaRange>& ranges, const IovaRange& range);
/// Error `device_fault` for an empty list.
[[nodiscard]] Result<void> check_not_empty(const std::vector<IovaRange>& ranges);

}  // namespace pollux::vfio
