// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "pollux/base/error.hpp"
#include "pollux/pci/address.hpp"
#include "pollux/pci/interface_backup.hpp"
#include "pollux/pci/paths.hpp"

namespace pollux::pci {

/// The interfaces that a device had before it was bound to vfio-pci. Each device has a text file in
/// RUN/pollux/interfaces, beside the record of its driver.
struct InterfaceRecord {
  std::uint16_t vendor = 0;  ///< vendor and device id show whether it is still the same card
  std::uint16_t device = 0;
  std::vector<InterfaceBackup> interfaces;

  friend bool operator==(const InterfaceRecord&, const InterfaceRecord&) = default;
};

/// Replaces the record atomically. Errors: `permission_denied`, `io_error`.
[[nodiscard]] Result<void> save_interfaces(const SystemPaths& paths, Address address, const InterfaceRecord& record);

/// Returns nullopt if there is no record. Error: `io_error` if it is malformed.
[[nodiscard]] Result<std::optional<InterfaceRecord>> load_interfaces(const SystemPaths& paths, Address address);

void remove_interfaces(const SystemPaths& paths, Address address);

}  // namespace pollux::pci
