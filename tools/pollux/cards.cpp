// SPDX-License-Identifier: BSD-3-Clause
#include "cards.hpp"

#include "hw/intel/igb/ids.hpp"

namespace pollux::tool {

std::string driver_of(std::uint16_t vendor, std::uint16_t device) {
  return hw::igb::find_device(vendor, device) != nullptr ? "igb" : "";
}

}  // namespace pollux::tool
