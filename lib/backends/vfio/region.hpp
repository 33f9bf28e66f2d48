// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "backends/vfio/kernel.hpp"
#include "pollux/base/error.hpp"
#include "pollux/device/bar.hpp"
#include "pollux/device/device.hpp"

namespace pollux::vfio {

/// A region of a device's descriptor: a BAR or the configuration space.
struct Region {
  struct Area {
    std::uint64_t offset = 0;  ///< bytes from the region's start
    std::uint64_t size = 0;    ///< bytes
  };

  std::uint32_t index = 0;
  std::uint64_t offset = 0;  ///< bytes from the descriptor's start
  std::uint64_t size = 0;    ///< bytes; 0: the device has no such region
  bool readable = false;
  bool writable = false;
  std::vector<Area> mappable;  ///< ascending, within the region, whole pages; empty: not mappable
};

/// Runs VFIO_DEVICE_GET_REGION_INFO and parses the sparse-mmap capability, with which older kernels exclude the MSI-X
/// table from mapping. `device` is for messages. Error `device_fault` for inconsistent areas.
[[nodiscard]] Result<Region> read_region(const Descriptor& descriptor, const std::string& device, std::uint32_t index);

/// A BAR mapped into this process's address space. Older kernels do not allow the MSI-X table to be mapped. Such areas
/// are ordinary memory that reads all ones, like a device that does not respond.
class BarWindow {
 public:
  /// Error `not_supported` for a region that cannot be mapped at all, such as I/O ports.
  [[nodiscard]] static Result<BarWindow> map(const Descriptor& descriptor, const std::string& device,
                                             const Region& region);

  BarWindow(BarWindow&& other) noexcept;
  BarWindow& operator=(BarWindow&& other) noexcept;
  ~BarWindow();

  [[nodiscard]] Bar bar() const noexcept { return {base_, size_}; }

 private:
  BarWindow(std::shared_ptr<Kernel> kernel, void* base, std::size_t size)
      : kernel_(std::move(kernel)), base_(static_cast<std::uint8_t*>(base)), size_(size) {}

  std::shared_ptr<Kernel> kernel_;
  std::uint8_t* base_ = nullptr;
  std::size_t size_ = 0;
};

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
