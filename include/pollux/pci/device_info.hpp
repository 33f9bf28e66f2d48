// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "pollux/base/api.hpp"
#include "pollux/base/error.hpp"
#include "pollux/pci/address.hpp"
#include "pollux/pci/paths.hpp"

namespace pollux::pci {

/// Vendor, device and class names from the machine's pci.ids, through libpci. The list is read at the first lookup. An
/// unknown ID gives an empty string. So does a missing or damaged list, since names are only for display. Thread rule:
/// one thread at a time.
class POLLUX_API Names {
 public:
  /// `pci_ids` is the path of the list; empty means libpci's default.
  explicit Names(const std::filesystem::path& pci_ids = {});
  Names(Names&&) noexcept;
  Names& operator=(Names&&) noexcept;
  ~Names();

  [[nodiscard]] std::string vendor(std::uint16_t vendor_id);
  [[nodiscard]] std::string device(std::uint16_t vendor_id, std::uint16_t device_id);
  /// `class_code` is the 24-bit code of sysfs. Only class and subclass are looked up.
  [[nodiscard]] std::string device_class(std::uint32_t class_code);

 private:
  class Library;
  std::unique_ptr<Library> library_;
};

/// The properties of a PCI function at the time when they were read from sysfs. A plain value; any thread.
struct DeviceInfo {
  Address address;
  std::uint16_t vendor = 0;
  std::uint16_t device = 0;
  std::uint16_t subsystem_vendor = 0;
  std::uint16_t subsystem_device = 0;
  std::uint32_t class_code = 0;  ///< base class, subclass, programming interface: 24 bits
  std::uint8_t revision = 0;
  std::string vendor_name;  ///< empty: not in the list of names, or no list was given
  std::string device_name;  ///< likewise
  std::string class_name;   ///< likewise
  std::optional<std::uint32_t> iommu_group;
  int numa_node = -1;           ///< -1: unknown
  std::string driver;           ///< the bound kernel driver; empty: none
  std::string driver_override;  ///< the only driver that may bind to it; empty: any
  /// Its network interfaces, sorted. Only those in the network namespace of `SystemPaths::sys`.
  std::vector<std::string> interfaces;

  [[nodiscard]] bool is_network_controller() const { return class_code >> 16 == 0x02; }
  [[nodiscard]] bool is_bridge() const { return class_code >> 8 == 0x0604; }
};

/// Reads one function. `names` may be null. Error `not_found` if there is no such device.
[[nodiscard]] POLLUX_API Result<DeviceInfo> read_device(const SystemPaths& paths, Address address,
                                                        Names* names = nullptr);

/// Reads all PCI functions of the machine, sorted by address. Functions that disappear during the call are left out.
/// Error: `not_supported` if sysfs has no PCI bus.
[[nodiscard]] POLLUX_API Result<std::vector<DeviceInfo>> list_devices(const SystemPaths& paths, Names* names = nullptr);

}  // namespace pollux::pci
