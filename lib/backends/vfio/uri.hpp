// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <string_view>

#include "pollux/base/error.hpp"
#include "pollux/pci/address.hpp"

namespace pollux::vfio {

/// How a device is accessed.
enum class AccessMode {
  automatic,  ///< `iommufd` if available, else `group`; never `no_iommu`
  iommufd,    ///< the device's own file (cdev), on an IOMMUFD
  group,      ///< its IOMMU group, in a type1 container
  no_iommu,   ///< its group of VFIO's no-IOMMU mode
};

/// The part of a URI after "vfio:".
struct VfioUri {
  pci::Address address;
  AccessMode mode = AccessMode::automatic;
  std::string token = {};  ///< a UUID that a physical function and its virtual functions share; empty: none
};

/// Parses "0000:01:00.0" or "01:00.0", optionally with "?via=iommufd", "?via=group" or "?via=noiommu", and with
/// "?vf_token=UUID"; '&' separates both. A token needs the group. Error `invalid_argument`.
[[nodiscard]] Result<VfioUri> parse_uri(std::string_view text);

}  // namespace pollux::vfio
