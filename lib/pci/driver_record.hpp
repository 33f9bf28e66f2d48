// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/file_descriptor.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"
#include "pollux/pci/address.hpp"
#include "pollux/pci/paths.hpp"

namespace pollux::pci {

/// What a device had before it was bound to vfio-pci. One small text file a device in RUN/pollux/drivers, which does
/// not outlive a reboot, as the binding does not.
struct DriverRecord {
  std::string driver;           ///< empty: none
  std::string driver_override;  ///< empty: none
  std::uint16_t vendor = 0;     ///< with `device`: whether it is still the same card
  std::uint16_t device = 0;

  friend bool operator==(const DriverRecord&, const DriverRecord&) = default;
};

/// Whether `name` can be a driver's: it becomes part of a path.
[[nodiscard]] bool is_driver_name(const std::string& name);

/// Replaces the record in one step: a reader sees the old one or the new one. Errors: `permission_denied`, `io_error`.
[[nodiscard]] Result<void> save_record(const SystemPaths& paths, Address address, const DriverRecord& record);

/// Nothing if there is no record. Error `io_error` if it cannot be understood.
[[nodiscard]] Result<std::optional<DriverRecord>> load_record(const SystemPaths& paths, Address address);

void remove_record(const SystemPaths& paths, Address address);

/// Held while one process changes bindings; the kernel releases it when the process ends.
class BindingLock {
 public:
  /// Error `busy` if another process still holds it after `limit`.
  [[nodiscard]] static Result<BindingLock> take(const SystemPaths& paths, Clock& clock, Duration limit);

 private:
  explicit BindingLock(FileDescriptor descriptor) : descriptor_(std::move(descriptor)) {}
  FileDescriptor descriptor_;
};

}  // namespace pollux::pci
