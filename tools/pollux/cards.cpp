// SPDX-License-Identifier: BSD-3-Clause
#include "cards.hpp"

#include "hw/intel/igb/ids.hpp"
#include "hw/intel/igbvf/ids.hpp"

namespace pollux::tool {

std::string driver_of(std::uint16_t vendor, std::uint16_t device) {
  if (hw::igb::find_device(vendor, device) != nullptr) return "igb";
  return hw::igbvf::find_device(vendor, device) != nullptr ? "igbvf" : "";
}

}  // namespace pollux::tool
