// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string_view>

#include "pollux/base/error.hpp"
#include "pollux/pci/address.hpp"

namespace pollux::vfio {

/// How a device is to be reached.
enum class Way {
  any,       ///< iommufd where there is one, else the group; never without an IOMMU
  iommufd,   ///< the device's own file, on an IOMMUFD
  group,     ///< its IOMMU group, in a type1 container
  no_iommu,  ///< its group of VFIO's no-IOMMU mode
};

/// What follows "vfio:" in a URI.
struct Which {
  pci::Address address;
  Way way = Way::any;
};

/// "0000:01:00.0" or "01:00.0", optionally with "?via=iommufd", "?via=group" or "?via=noiommu". Error
/// `invalid_argument`.
[[nodiscard]] Result<Which> parse_which(std::string_view text);

}  // namespace pollux::vfio
