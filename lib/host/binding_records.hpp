// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/file_descriptor.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"
#include "pollux/host/interface_backup.hpp"
#include "pollux/pci/address.hpp"
#include "pollux/pci/paths.hpp"

namespace pollux::host {

/// The text files below RUN/pollux, by which a process tells later ones what it has changed.
namespace record_file {

/// The error of a system call on `file`, with a hint.
[[nodiscard]] tl::unexpected<Error> cannot_write(const std::filesystem::path& file, int error);

/// Opens the directory, after that above it; both are made if there are none. Errors: those of open_own_directory.
[[nodiscard]] Result<FileDescriptor> open_directory(const std::filesystem::path& directory);

/// Makes the directory, and replaces the file atomically. Everybody may read it. Errors: `permission_denied`,
/// `io_error`.
[[nodiscard]] Result<void> replace(const std::filesystem::path& file, const std::string& text);

}  // namespace record_file

/// The driver of a device before it was bound to vfio-pci. Each device has a text file in RUN/pollux/drivers. A reboot
/// removes the files and also ends the bindings.
struct DriverRecord {
  std::string driver;           ///< empty: none
  std::string driver_override;  ///< empty: none
  std::uint16_t vendor = 0;     ///< vendor and device id show whether it is still the same card
  std::uint16_t device = 0;
  /// An unbind has begun. If the device has its driver again, only its network is not restored.
  bool unbinding = false;

  friend bool operator==(const DriverRecord&, const DriverRecord&) = default;
};

/// Whether `name` is a valid driver name. It becomes part of a path.
[[nodiscard]] bool is_driver_name(const std::string& name);

/// Replaces the record atomically. Errors: `permission_denied`, `io_error`.
[[nodiscard]] Result<void> save_record(const pci::SystemPaths& paths, pci::Address address, const DriverRecord& record);

/// Returns nullopt if there is no record. Error: `io_error` if it is malformed.
[[nodiscard]] Result<std::optional<DriverRecord>> load_record(const pci::SystemPaths& paths, pci::Address address);

void remove_record(const pci::SystemPaths& paths, pci::Address address);

/// The lock that a process holds while it changes bindings. The kernel releases it when the process ends.
class BindingLock {
 public:
  /// Error: `busy` if another process holds the lock for longer than `limit`.
  [[nodiscard]] static Result<BindingLock> take(const pci::SystemPaths& paths, Clock& clock, Duration limit);

 private:
  explicit BindingLock(FileDescriptor descriptor) : descriptor_(std::move(descriptor)) {}
  FileDescriptor descriptor_;
};

/// The interfaces that a device had before it was bound to vfio-pci. Each device has a text file in
/// RUN/pollux/interfaces, beside the record of its driver.
struct InterfaceRecord {
  std::uint16_t vendor = 0;  ///< vendor and device id show whether it is still the same card
  std::uint16_t device = 0;
  std::vector<InterfaceBackup> interfaces;

  friend bool operator==(const InterfaceRecord&, const InterfaceRecord&) = default;
};

/// Replaces the record atomically. Errors: `permission_denied`, `io_error`.
[[nodiscard]] Result<void> save_interfaces(const pci::SystemPaths& paths, pci::Address address,
                                           const InterfaceRecord& record);

/// Returns nullopt if there is no record. Error: `io_error` if it is malformed.
[[nodiscard]] Result<std::optional<InterfaceRecord>> load_interfaces(const pci::SystemPaths& paths,
                                                                     pci::Address address);

void remove_interfaces(const pci::SystemPaths& paths, pci::Address address);

}  // namespace pollux::host
