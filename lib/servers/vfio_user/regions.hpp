// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "pollux/base/error.hpp"
#include "pollux/device/device.hpp"

namespace pollux::vfio_user {

/// A device's configuration space and register windows, as regions of bytes.
/// Thread rule: that of Device.
class Regions {
 public:
  /// `device` outlives the result. Error: that of a window that the device cannot map.
  /// `passes_functions`: a client that reads all of configuration space at once finds the capability of virtual
  /// functions (SR-IOV) under the number of vendor-specific ones. QEMU does so when it makes its device, and would drop
  /// the capability (hw/vfio/pci.c, vfio_add_ext_cap). Later it passes the guest's reads of 1 to 8 bytes on, which find
  /// the right number.
  [[nodiscard]] static Result<Regions> create(Device& device, bool passes_functions = false);

  /// Bytes of a region; 0 if the device does not have it.
  [[nodiscard]] std::uint64_t size(std::uint32_t region) const noexcept;
  /// Whether the region has these bytes, at least one.
  [[nodiscard]] bool has(std::uint32_t region, std::uint64_t offset, std::size_t count) const noexcept;
  /// Accesses `bytes` at `offset` in as few naturally aligned accesses of 4, 2 or 1 bytes as possible. Returns 0 or an
  /// errno value: EINVAL if the region does not have these bytes, EIO if the device fails.
  [[nodiscard]] int read(std::uint32_t region, std::uint64_t offset, std::span<std::byte> bytes);
  [[nodiscard]] int write(std::uint32_t region, std::uint64_t offset, std::span<const std::byte> bytes);
  /// Lets a card that acts only during accesses do what is due.
  void flush() noexcept;

 private:
  explicit Regions(Device& device) : device_(&device) {}
  void disguise_functions(std::uint64_t offset, std::span<std::byte> bytes) const;

  Device* device_;
  std::uint32_t functions_at_ = 0;  // where the capability is to be disguised; 0: nowhere
  std::array<Bar, 6> bars_;
};

}  // namespace pollux::vfio_user
