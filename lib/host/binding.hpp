// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "host/network_state.hpp"
#include "pci/device_info.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"
#include "pollux/base/log.hpp"
#include "pollux/pci/address.hpp"
#include "pollux/pci/paths.hpp"

namespace pollux::host {

struct DriverRecord;

/// What `bind` shall do in spite of a check.
struct BindOptions {
  /// Bind the device even if the host uses it or it is not a network controller.
  bool force = false;
};

/// The result of `bind` or `unbind` for one device.
struct BindOutcome {
  pci::Address address;                      ///< which device
  bool changed = false;                      ///< false: nothing had to be changed
  std::string previous_driver;               ///< empty: none
  std::string driver;                        ///< the current driver; empty: none
  std::optional<std::uint32_t> iommu_group;  ///< none: the machine has no IOMMU, or it is off
};

/// Moves PCI functions between the kernel's drivers and vfio-pci with `driver_override` and `drivers_probe`. It records
/// the previous driver of a device and the network of its interfaces below /run/pollux, so that another process can
/// restore them. Interfaces in other network namespaces are not seen. A lock serialises the Binders of all processes.
/// Thread rule: one thread at a time. Keeps references to `clock` and `network`.
class Binder {
 public:
  /// The longest wait for a driver to release or probe a device, and for another Binder to finish.
  static constexpr Duration kLimit = std::chrono::seconds(5);

  /// `clock` and `network` outlive the Binder. `log` gets what it changes.
  Binder(pci::SystemPaths paths, Clock& clock, const HostNetwork& network, LogCallback log = {});

  /// Makes the checks of `bind` without changing anything. Errors, each with a hint: `not_found` (no such device),
  /// `invalid_argument` (a bridge; or not a network controller, unless forced; or named twice), `module_not_loaded`,
  /// `no_iommu`, `group_not_viable` (the check assumes that all `addresses` leave their drivers), `in_use_by_host` (the
  /// port or one of its virtual functions, which it loses; unless forced), `group_in_use` (a process has a virtual
  /// function open, or the device by another VFIO driver), `permission_denied`.
  [[nodiscard]] Result<void> check_bind(std::span<const pci::Address> addresses, const BindOptions& options = {}) const;

  /// Binds all devices to vfio-pci, or none. Checks all devices first. If one cannot be bound, it restores the drivers
  /// of the others, and their interfaces. A device that is already bound is not changed and keeps its record.
  /// `saved_interfaces` (pollux/host/interface_backup.hpp) returns what was saved of the interfaces. Further errors:
  /// `not_bound` (vfio-pci did not accept the device), `timeout`, `io_error`, `busy` (another Binder is active).
  [[nodiscard]] Result<std::vector<BindOutcome>> bind(std::span<const pci::Address> addresses,
                                                      const BindOptions& options = {});

  /// Makes the checks of `unbind` without changing anything. Errors: `not_found`, `module_not_loaded` (the recorded
  /// driver), `group_in_use` (another process has the device or one of its virtual functions open),
  /// `permission_denied`, `invalid_argument`.
  [[nodiscard]] Result<void> check_unbind(std::span<const pci::Address> addresses) const;

  /// Binds each device to the recorded driver, and gives its interfaces their names, addresses and routes again.
  /// Without a record the kernel chooses the driver. Checks all devices first. A device that is not bound to vfio-pci
  /// is not changed. Stops at the first failure, such as an interface that does not get all that it had; the error then
  /// says that the device has its driver again. After a failure or an interruption it can be called again, and does
  /// what is left to do.
  [[nodiscard]] Result<std::vector<BindOutcome>> unbind(std::span<const pci::Address> addresses);

 private:
  [[nodiscard]] Result<BindOutcome> bind_one(pci::Address address);
  [[nodiscard]] Result<BindOutcome> unbind_one(pci::Address address);
  /// Gives a device that vfio-pci did not accept its driver again, and adds to the reason how that went.
  void undo_bind(const pci::DeviceInfo& device, DriverRecord record, Error& reason);
  /// What is left of an unbind when the device has its driver again.
  [[nodiscard]] Result<void> finish_unbind(const pci::DeviceInfo& device, const DriverRecord& target,
                                           BindOutcome& outcome);
  [[nodiscard]] Result<void> save_network(const pci::DeviceInfo& device) const;
  [[nodiscard]] Result<void> restore_network(const pci::DeviceInfo& device) const;
  [[nodiscard]] Result<void> restore_interface(pci::Address address, const InterfaceBackup& backup) const;
  /// Binds a device to `driver`. With an empty name the kernel chooses a driver or none, with `without_driver` as the
  /// driver_override.
  [[nodiscard]] Result<void> move_to(pci::Address address, const std::string& driver,
                                     const std::string& without_driver = {});
  void log(LogLevel level, const std::string& message) const;

  pci::SystemPaths paths_;
  Clock* clock_;
  const HostNetwork* network_;
  LogCallback log_;
};

}  // namespace pollux::host
