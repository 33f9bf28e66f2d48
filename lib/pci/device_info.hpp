// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "pollux/base/error.hpp"
#include "pollux/pci/address.hpp"
#include "pollux/pci/paths.hpp"

namespace pollux::pci {

/// The properties of a PCI function at the time when they were read from sysfs. A plain value; any thread.
struct DeviceInfo {
  Address address;  ///< where the kernel has found it
  /// As in its configuration space.
  ///@{
  std::uint16_t vendor = 0;
  std::uint16_t device = 0;
  std::uint16_t subsystem_vendor = 0;
  std::uint16_t subsystem_device = 0;
  ///@}
  std::uint32_t class_code = 0;              ///< base class, subclass, programming interface: 24 bits
  std::uint8_t revision = 0;                 ///< as in its configuration space
  std::string vendor_name;                   ///< empty: not in the list of names, or not asked for (`host::Names`)
  std::string device_name;                   ///< likewise
  std::string class_name;                    ///< likewise
  std::optional<std::uint32_t> iommu_group;  ///< none: the machine has no IOMMU, or it is off
  int numa_node = -1;                        ///< -1: unknown
  std::string driver;                        ///< the bound kernel driver; empty: none
  std::string driver_override;               ///< the only driver that may bind to it; empty: any
  /// Its network interfaces, sorted. Only those in the network namespace of `SystemPaths::sys`.
  std::vector<std::string> interfaces;

  /// By `class_code`: base class 0x02, and PCI-to-PCI bridges.
  ///@{
  [[nodiscard]] bool is_network_controller() const { return class_code >> 16 == 0x02; }
  [[nodiscard]] bool is_bridge() const { return class_code >> 8 == 0x0604; }
  ///@}
};

/// Reads one function. Error `not_found` if there is no such device.
[[nodiscard]] Result<DeviceInfo> read_device(const SystemPaths& paths, Address address);

/// Reads all PCI functions of the machine, sorted by address. Functions that disappear during the call are left out.
/// Error: `not_supported` if sysfs has no PCI bus.
[[nodiscard]] Result<std::vector<DeviceInfo>> list_devices(const SystemPaths& paths);

}  // namespace pollux::pci
