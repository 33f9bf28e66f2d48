// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "pollux/base/api.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"
#include "pollux/base/log.hpp"
#include "pollux/pci/address.hpp"
#include "pollux/pci/network_state.hpp"
#include "pollux/pci/paths.hpp"

namespace pollux::pci {

struct BindOptions {
  /// Take the port even if the host uses it, and take devices that are no network controllers.
  bool force = false;
};

/// What became of one device.
struct BindOutcome {
  Address address;
  bool changed = false;         ///< false: it was as it should be
  std::string previous_driver;  ///< empty: none
  std::string driver;           ///< the one it has now; empty: none
  std::optional<std::uint32_t> iommu_group;
};

/// Moves PCI functions between the kernel's drivers and vfio-pci, by `driver_override` and `drivers_probe`. The driver
/// that a device had is recorded below /run/pollux, so that another process can give it back. Binders in several
/// processes wait for each other. Thread rule: one thread at a time. Keeps references to `clock` and `network`.
class POLLUX_API Binder {
 public:
  /// How long a driver may take to let go of a device or to take it, and another Binder to finish.
  static constexpr Duration kLimit = std::chrono::seconds(5);

  Binder(SystemPaths paths, Clock& clock, const HostNetwork& network, LogCallback log = {});

  /// Whether `bind` would start; changes nothing. Errors, each with what mends it: `not_found` (no such device),
  /// `invalid_argument` (a bridge; or not a network controller, unless forced; or named twice), `module_not_loaded`,
  /// `no_iommu`, `group_not_viable` (counting all of `addresses` as leaving), `in_use_by_host`, `permission_denied`.
  [[nodiscard]] Result<void> check_bind(std::span<const Address> addresses, const BindOptions& options = {}) const;

  /// Binds all to vfio-pci, or none: everything is checked before the first is touched, and if a driver refuses, those
  /// that were moved go back. A device that is bound already is left alone and keeps its record. Further errors:
  /// `not_bound` (vfio-pci refused), `timeout`, `io_error`, `busy` (another Binder works).
  [[nodiscard]] Result<std::vector<BindOutcome>> bind(std::span<const Address> addresses,
                                                      const BindOptions& options = {});

  /// Whether `unbind` would start; changes nothing. Errors: `not_found`, `module_not_loaded` (the recorded driver),
  /// `group_in_use` (another process has the device open), `permission_denied`, `invalid_argument`.
  [[nodiscard]] Result<void> check_unbind(std::span<const Address> addresses) const;

  /// Gives each device back to the driver on record, or lets the kernel choose where there is no record. Everything is
  /// checked first; a device that vfio-pci does not hold is left alone. Stops at the first failure, whose error says
  /// so; it can be called again.
  [[nodiscard]] Result<std::vector<BindOutcome>> unbind(std::span<const Address> addresses);

 private:
  [[nodiscard]] Result<BindOutcome> bind_one(Address address);
  [[nodiscard]] Result<BindOutcome> unbind_one(Address address);
  /// Gives a device to `driver` and to no other; an empty name lets the kernel choose, and then none is fine, too.
  [[nodiscard]] Result<void> move_to(Address address, const std::string& driver);
  void log(LogLevel level, const std::string& message) const;

  SystemPaths paths_;
  Clock* clock_;
  const HostNetwork* network_;
  LogCallback log_;
};

}  // namespace pollux::pci
