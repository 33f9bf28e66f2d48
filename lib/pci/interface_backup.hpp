// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "pollux/base/error.hpp"

namespace pollux::pci {

/// What the kernel forgets about a network interface when its driver leaves the device: a message of rtnetlink for each
/// address and route, and the properties of the link. A plain value; any thread.
struct InterfaceBackup {
  std::string name;
  std::uint32_t index = 0;
  bool up = false;
  std::uint32_t mtu = 0;                          ///< 0: not known
  std::uint32_t master = 0;                       ///< index of the bridge or bond that has it; 0: none
  std::vector<std::byte> mac;                     ///< the current hardware address
  std::vector<std::vector<std::byte>> addresses;  ///< RTM_NEWADDR
  std::vector<std::vector<std::byte>> routes;     ///< RTM_NEWROUTE, those that are not automatic
};

/// Saves an interface of this network namespace. Error: `not_found`, `io_error`.
[[nodiscard]] Result<InterfaceBackup> back_up_interface(const std::string& name);

/// Gives an interface, which may have another name and index now, its saved name, link, addresses and routes. Can be
/// called again. Errors: `not_found`, `io_error`; goes on after an error, and returns the first.
[[nodiscard]] Result<void> restore_interface(const InterfaceBackup& backup, const std::string& current_name);

}  // namespace pollux::pci
