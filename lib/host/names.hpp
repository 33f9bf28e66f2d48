// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "pci/device_info.hpp"

namespace pollux::host {

/// Vendor, device and class names from the machine's pci.ids, through libpci. The list is read at the first lookup. An
/// unknown ID gives an empty string. So does a missing or damaged list, since names are only for display. Thread rule:
/// one thread at a time.
class Names {
 public:
  /// `pci_ids` is the path of the list; empty means libpci's default.
  explicit Names(const std::filesystem::path& pci_ids = {});
  /// The source may then only be destroyed or assigned to.
  ///@{
  Names(Names&&) noexcept;
  Names& operator=(Names&&) noexcept;
  ///@}
  ~Names();

  /// The name in the list; empty if it is not there.
  ///@{
  [[nodiscard]] std::string vendor(std::uint16_t vendor_id);
  [[nodiscard]] std::string device(std::uint16_t vendor_id, std::uint16_t device_id);
  ///@}
  /// `class_code` is the 24-bit code of sysfs. Only class and subclass are looked up.
  [[nodiscard]] std::string device_class(std::uint32_t class_code);
  /// Fills in the three names of a device.
  void name(pci::DeviceInfo& info);

 private:
  class Library;
  std::unique_ptr<Library> library_;
};

}  // namespace pollux::host
