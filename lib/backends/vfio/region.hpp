// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "backends/vfio/descriptor.hpp"
#include "pollux/base/error.hpp"

namespace pollux::vfio {

/// A region of a device's descriptor: a BAR or the configuration space.
struct Region {
  struct Area {
    std::uint64_t offset = 0;  ///< bytes from the region's start
    std::uint64_t size = 0;    ///< bytes
  };

  std::uint32_t index = 0;
  std::uint64_t offset = 0;  ///< bytes from the descriptor's start
  std::uint64_t size = 0;    ///< bytes; 0: the device has no such region
  bool readable = false;
  bool writable = false;
  std::vector<Area> mappable;  ///< ascending, within the region, whole pages; empty: not mappable
};

/// Runs VFIO_DEVICE_GET_REGION_INFO and parses the sparse-mmap capability, with which older kernels exclude the MSI-X
/// table from mapping. `device` is for messages. Error `device_fault` for inconsistent areas.
[[nodiscard]] Result<Region> read_region(const Descriptor& descriptor, const std::string& device, std::uint32_t index);

}  // namespace pollux::vfio
