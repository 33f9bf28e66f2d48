// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "pollux/base/api.hpp"

namespace pollux::pci {

/// Vendor, device and class names out of the machine's pci.ids, through libpci. The list is read at the first question
/// and kept. A name that is not known, or a list that is missing or damaged, gives an empty string: names are for
/// people and no reason to fail. Thread rule: one thread at a time.
class POLLUX_API Names {
 public:
  /// `pci_ids` names the list; empty means the one that libpci was built with.
  explicit Names(const std::filesystem::path& pci_ids = {});
  Names(Names&&) noexcept;
  Names& operator=(Names&&) noexcept;
  ~Names();

  [[nodiscard]] std::string vendor(std::uint16_t vendor_id);
  [[nodiscard]] std::string device(std::uint16_t vendor_id, std::uint16_t device_id);
  /// `class_code` is the 24-bit code of sysfs; class and subclass are looked up.
  [[nodiscard]] std::string device_class(std::uint32_t class_code);

 private:
  class Library;
  std::unique_ptr<Library> library_;
};

}  // namespace pollux::pci
