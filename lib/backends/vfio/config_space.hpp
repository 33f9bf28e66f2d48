// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>

#include "backends/vfio/region.hpp"
#include "pollux/base/error.hpp"
#include "pollux/device/device.hpp"

namespace pollux::vfio {

/// A function's PCI configuration space, accessed through the device's descriptor.
/// Does not own the descriptor. Thread rule: any thread, as for the kernel's pread and pwrite.
class ConfigSpace {
 public:
  ConfigSpace(const Descriptor& descriptor, std::string device, const Region& region)
      : descriptor_(&descriptor), device_(std::move(device)), offset_(region.offset), size_(region.size) {}

  /// `width` is 1, 2 or 4, `offset` a multiple of it. Errors: `invalid_argument`, `device_removed`, `io_error`.
  [[nodiscard]] Result<std::uint32_t> read(std::uint32_t offset, unsigned width) const;
  [[nodiscard]] Result<void> write(std::uint32_t offset, unsigned width, std::uint32_t value) const;

  /// True if the device no longer responds. Reads the status register, because VFIO caches the ids (Linux,
  /// drivers/vfio/pci/vfio_pci_config.c, init_pci_cap_basic_perm).
  [[nodiscard]] bool unresponsive() const;
  [[nodiscard]] Result<PciIdentity> identity() const;
  /// Switches memory decoding on, INTx off, and bus mastering to `bus_master`. Reads the register back. Error
  /// `device_fault` if a bit does not keep its value.
  [[nodiscard]] Result<void> set_command(bool bus_master) const;
  /// Lets the device report errors on its link. vfio-pci does not, and an igb such as Linux 6.1's forbids it when it
  /// leaves the card (igb_main.c, igb_remove).
  /// Does nothing on a device without a PCI Express capability. PCI Express Base 2.0, 7.8.4.
  [[nodiscard]] Result<void> report_errors() const;

 private:
  [[nodiscard]] Result<void> check_access(std::uint32_t offset, unsigned width) const;
  [[nodiscard]] tl::unexpected<Error> failed(const char* what, std::uint32_t offset, long result) const;

  const Descriptor* descriptor_;
  std::string device_;
  std::uint64_t offset_;
  std::uint64_t size_;
};

}  // namespace pollux::vfio
