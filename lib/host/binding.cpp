// SPDX-License-Identifier: BSD-3-Clause
#include "host/binding.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/shell_words.hpp"
#include "host/bind_checks.hpp"
#include "host/binding_records.hpp"
#include "host/host_use.hpp"
#include "pci/iommu_group.hpp"
#include "pci/sysfs.hpp"
#include "pci/vfio_use.hpp"
#include "pollux/host/interface_backup.hpp"

namespace pollux::host {
namespace {

constexpr Duration kInterval = std::chrono::milliseconds(5);
/// The longest wait for the kernel to choose a driver; it may choose none.
constexpr Duration kChoiceLimit = std::chrono::milliseconds(300);
/// The longest wait for the driver to make an interface, and for udev to name it.
constexpr Duration kInterfaceLimit = std::chrono::seconds(5);

std::string or_none(const std::string& driver) { return driver.empty() ? "no driver" : driver; }

Result<std::vector<pci::DeviceInfo>> read_all(const pci::SystemPaths& paths, std::span<const pci::Address> addresses) {
  if (auto valid = check_addresses(addresses); !valid) return pass_on(std::move(valid));
  std::vector<pci::DeviceInfo> devices;
  for (const pci::Address& address : addresses) {
    auto info = pci::read_device(paths, address);
    if (!info) return pass_on(std::move(info));
    devices.push_back(*std::move(info));
  }
  return devices;
}

Result<void> check_group(const pci::SystemPaths& paths, const pci::DeviceInfo& device,
                         std::span<const pci::Address> leaving) {
  if (!device.iommu_group) return {};
  const auto group = pci::read_group(paths, *device.iommu_group);
  if (!group) return tl::unexpected<Error>(group.error());
  // The message names only those of `leaving` that are in this group.
  std::vector<pci::Address> together;
  for (const pci::GroupMember& member : group->members) {
    if (member.address && std::find(leaving.begin(), leaving.end(), *member.address) != leaving.end()) {
      together.push_back(*member.address);
    }
  }
  return pci::check_viable(*group, together);
}

/// A device loses its virtual functions, and the host their interfaces, when it leaves its driver.
Result<void> check_functions_unused(const pci::SystemPaths& paths, const NetworkState& state, pci::Address address) {
  for (const pci::Address& function : pci::sysfs::virtual_functions(paths, address)) {
    auto unused = check_unused(paths, state, function);
    if (unused) continue;
    unused.error().what =
        fmt::format("{} would lose its virtual functions: {}", address.to_string(), unused.error().what);
    return unused;
  }
  return {};
}

/// Error `group_in_use` if the kernel would wait without limit for a process: a VFIO driver leaves a device only when
/// nobody has it open, and a virtual function likewise. Asked once more under the lock, directly before the change.
Result<void> check_not_held(const pci::SystemPaths& paths, const pci::DeviceInfo& device, bool by_vfio) {
  if (by_vfio) {
    if (auto free = pci::check_not_open(paths, device); !free) return free;
  }
  return pci::check_functions_not_open(paths, device);
}

/// Whether a bind or unbind was interrupted after the device had lost its driver.
bool was_interrupted(const pci::DeviceInfo& device, const std::optional<DriverRecord>& record) {
  return device.driver.empty() && (record.has_value() || device.driver_override == kVfioDriver);
}

/// Whether an unbind has given the device its driver again, and was interrupted or failed before its network was
/// restored.
bool lacks_its_network(const pci::DeviceInfo& device, const std::optional<DriverRecord>& record) {
  if (!record || !record->unbinding || device.driver.empty() || pci::is_vfio_driver(device.driver)) return false;
  return record->driver.empty() || record->driver == device.driver;
}

template <class Record>
bool matches(const Record& record, const pci::DeviceInfo& device) {
  return record.vendor == device.vendor && record.device == device.device;
}

}  // namespace

Binder::Binder(pci::SystemPaths paths, Clock& clock, const HostNetwork& network, LogCallback log)
    : paths_(std::move(paths)), clock_(&clock), network_(&network), log_(std::move(log)) {}

void Binder::log(LogLevel level, const std::string& message) const {
  if (log_) log_(level, message);
}

Result<void> Binder::check_bind(std::span<const pci::Address> addresses, const BindOptions& options) const {
  auto devices = read_all(paths_, addresses);
  if (!devices) return pass_on(std::move(devices));
  std::erase_if(*devices, [](const pci::DeviceInfo& device) { return device.driver == kVfioDriver; });
  if (devices->empty()) return {};
  for (const pci::DeviceInfo& device : *devices) {
    if (auto kind = check_kind(device, options.force); !kind) return kind;
  }
  if (auto loaded = check_vfio_loaded(paths_); !loaded) return loaded;
  for (const pci::DeviceInfo& device : *devices) {
    if (auto iommu = check_iommu(paths_, device); !iommu) return iommu;
    if (auto viable = check_group(paths_, device, addresses); !viable) return viable;
    if (auto permitted = check_permission(paths_, device); !permitted) return permitted;
    if (auto free = check_not_held(paths_, device, pci::is_vfio_driver(device.driver)); !free) return free;
  }
  if (options.force) return {};
  auto state = network_->read();
  if (!state) return pass_on(std::move(state));
  for (const std::string& name : state->unseen) log(LogLevel::warning, "cannot read the state of " + name);
  for (const pci::DeviceInfo& device : *devices) {
    if (auto unused = check_unused(paths_, *state, device.address); !unused) return unused;
    if (auto unused = check_functions_unused(paths_, *state, device.address); !unused) return unused;
  }
  return {};
}

Result<std::vector<BindOutcome>> Binder::bind(std::span<const pci::Address> addresses, const BindOptions& options) {
  if (auto checked = check_bind(addresses, options); !checked) return pass_on(std::move(checked));
  auto lock = BindingLock::take(paths_, *clock_, kLimit);
  if (!lock) return pass_on(std::move(lock));
  std::vector<BindOutcome> outcomes;
  for (const pci::Address& address : addresses) {
    auto outcome = bind_one(address);
    if (outcome) {
      outcomes.push_back(*std::move(outcome));
      continue;
    }
    for (const BindOutcome& done : outcomes) {
      if (!done.changed) continue;
      if (const auto back = unbind_one(done.address); !back) log(LogLevel::error, back.error().message());
    }
    return pass_on(std::move(outcome));
  }
  return outcomes;
}

Result<BindOutcome> Binder::bind_one(pci::Address address) {
  auto device = pci::read_device(paths_, address);
  if (!device) return pass_on(std::move(device));
  BindOutcome outcome{address, false, device->driver, device->driver, device->iommu_group};
  if (device->driver == kVfioDriver) return outcome;
  if (auto free = check_not_held(paths_, *device, pci::is_vfio_driver(device->driver)); !free)
    return pass_on(std::move(free));

  const auto known = load_record(paths_, address);
  // After an interrupted bind the device has no driver, so the existing record is kept.
  const bool keep_record = known && *known && matches(**known, *device) && was_interrupted(*device, *known);
  DriverRecord record{device->driver, device->driver_override, device->vendor, device->device};
  if (keep_record) record = **known;
  record.unbinding = false;
  if (!keep_record) {
    if (auto saved = save_network(*device); !saved) return pass_on(std::move(saved));
  }
  if (auto saved = save_record(paths_, address, record); !saved) return pass_on(std::move(saved));

  if (auto moved = move_to(address, kVfioDriver); !moved) {
    undo_bind(*device, std::move(record), moved.error());
    return pass_on(std::move(moved));
  }
  outcome.changed = true;
  outcome.previous_driver = record.driver;
  outcome.driver = kVfioDriver;
  // Without an IOMMU the kernel creates the group only during the bind.
  if (const auto now = pci::read_device(paths_, address)) outcome.iommu_group = now->iommu_group;
  log(LogLevel::info, fmt::format("{}: {} -> {}", address.to_string(), or_none(record.driver), kVfioDriver));
  return outcome;
}

void Binder::undo_bind(const pci::DeviceInfo& device, DriverRecord record, Error& reason) {
  const pci::Address address = device.address;
  const auto back = record.driver.empty() ? Result<void>{} : move_to(address, record.driver);
  const auto cleared =
      pci::sysfs::write(pci::sysfs::device(paths_, address) / "driver_override", record.driver_override + "\n");
  if (!back || !cleared) {
    reason.what += fmt::format("; restoring {} failed", or_none(record.driver));
    reason.hint += "; then restore the driver: pollux unbind " + address.to_string();
    return;
  }
  reason.what += "; it has " + or_none(record.driver) + " as before";
  const auto restored = restore_network(device);
  if (restored) {
    remove_record(paths_, address);
    return;
  }
  log(LogLevel::error, restored.error().message());
  record.unbinding = true;
  if (const auto kept = save_record(paths_, address, record); !kept) log(LogLevel::error, kept.error().message());
  reason.hint += "; then restore its network: pollux unbind " + address.to_string();
}

Result<void> Binder::check_unbind(std::span<const pci::Address> addresses) const {
  auto devices = read_all(paths_, addresses);
  if (!devices) return pass_on(std::move(devices));
  for (const pci::DeviceInfo& device : *devices) {
    const auto record = load_record(paths_, device.address);
    const auto& known = record ? *record : std::nullopt;
    if (device.driver != kVfioDriver && !was_interrupted(device, known)) continue;
    if (auto permitted = check_permission(paths_, device); !permitted) return permitted;
    if (auto free = check_not_held(paths_, device, true); !free) return free;
    const bool wanted = known && matches(*known, device) && !known->driver.empty();
    if (wanted && !pci::sysfs::exists(paths_.sys / "bus/pci/drivers" / known->driver)) {
      return fail(ErrorCode::module_not_loaded,
                  fmt::format("{} had the driver {}, which is not loaded", device.address.to_string(), known->driver),
                  "modprobe " + shell_quoted(known->driver));
    }
  }
  return {};
}

Result<std::vector<BindOutcome>> Binder::unbind(std::span<const pci::Address> addresses) {
  if (auto checked = check_unbind(addresses); !checked) return pass_on(std::move(checked));
  auto lock = BindingLock::take(paths_, *clock_, kLimit);
  if (!lock) return pass_on(std::move(lock));
  std::vector<BindOutcome> outcomes;
  for (const pci::Address& address : addresses) {
    auto outcome = unbind_one(address);
    if (!outcome) return pass_on(std::move(outcome));
    outcomes.push_back(*std::move(outcome));
  }
  return outcomes;
}

Result<BindOutcome> Binder::unbind_one(pci::Address address) {
  auto device = pci::read_device(paths_, address);
  if (!device) return pass_on(std::move(device));
  auto loaded = load_record(paths_, address);
  if (!loaded) log(LogLevel::warning, loaded.error().what + "; the kernel chooses the driver");
  std::optional<DriverRecord> record = loaded ? *loaded : std::nullopt;
  if (record && !matches(*record, *device)) {
    log(LogLevel::warning,
        address.to_string() + " is another card than the recorded one; the kernel chooses the driver");
    record.reset();
  }
  BindOutcome outcome{address, false, device->driver, device->driver, device->iommu_group};
  outcome.changed = device->driver == kVfioDriver || was_interrupted(*device, record);
  if (!outcome.changed && !lacks_its_network(*device, record)) {
    remove_record(paths_, address);
    remove_interfaces(paths_, address);
    return outcome;
  }
  DriverRecord target = record.value_or(DriverRecord{{}, {}, device->vendor, device->device});
  if (outcome.changed) {
    if (auto free = check_not_held(paths_, *device, true); !free) return pass_on(std::move(free));
    target.unbinding = true;
    if (auto saved = save_record(paths_, address, target); !saved) return pass_on(std::move(saved));
    // An override such as "none" keeps all drivers away from the device. One to VFIO would undo the unbind.
    const bool to_vfio = pci::is_vfio_driver(target.driver_override);
    auto moved = move_to(address, target.driver, to_vfio ? std::string() : target.driver_override);
    if (!moved) return pass_on(std::move(moved));
  }
  if (auto finished = finish_unbind(*device, target, outcome); !finished) return pass_on(std::move(finished));
  return outcome;
}

// The files are removed last, so that another unbind can do what this one fails to do.
Result<void> Binder::finish_unbind(const pci::DeviceInfo& device, const DriverRecord& target, BindOutcome& outcome) {
  const std::string name = device.address.to_string();
  const auto directory = pci::sysfs::device(paths_, device.address);
  if (auto cleared = pci::sysfs::write(directory / "driver_override", target.driver_override + "\n"); !cleared) {
    return cleared;
  }
  outcome.driver = pci::sysfs::link_target_name(directory / "driver");
  if (outcome.changed) {
    log(LogLevel::info, fmt::format("{}: {} -> {}", name, or_none(device.driver), or_none(outcome.driver)));
  }
  if (auto restored = restore_network(device); !restored) {
    restored.error().what = fmt::format("{} has {} again, but its network is not as before: {}", name,
                                        or_none(outcome.driver), restored.error().what);
    restored.error().hint += "; then try again: pollux unbind " + name;
    return restored;
  }
  remove_record(paths_, device.address);
  return {};
}

Result<void> Binder::save_network(const pci::DeviceInfo& device) const {
  InterfaceRecord record{device.vendor, device.device, {}};
  for (const std::string& name : device.interfaces) {
    auto backup = network_->save(name);
    if (backup) {
      record.interfaces.push_back(*std::move(backup));
    } else if (backup.error().code == ErrorCode::not_found) {
      log(LogLevel::warning, fmt::format("the addresses and routes of {} are not saved: it is in another network "
                                         "namespace",
                                         name));
    } else {
      return pass_on(std::move(backup));
    }
  }
  return save_interfaces(paths_, device.address, record);
}

// What was saved is removed once it is restored: later the interface may have another configuration.
Result<void> Binder::restore_network(const pci::DeviceInfo& device) const {
  const auto record = load_interfaces(paths_, device.address);
  if (!record) log(LogLevel::warning, record.error().what + "; addresses and routes are not restored");
  Result<void> first_error;
  if (record && *record && matches(**record, device)) {
    for (const InterfaceBackup& backup : (*record)->interfaces) {
      auto restored = restore_interface(device.address, backup);
      if (first_error && !restored) first_error = std::move(restored);
    }
  }
  if (first_error) remove_interfaces(paths_, device.address);
  return first_error;
}

Result<void> Binder::restore_interface(pci::Address address, const InterfaceBackup& backup) const {
  const auto names = [&] {
    const auto device = pci::read_device(paths_, address);
    return device ? device->interfaces : std::vector<std::string>{};
  };
  const auto has_name = [&] {
    const auto all = names();
    return std::find(all.begin(), all.end(), backup.name) != all.end();
  };
  static_cast<void>(wait_until(
      *clock_, "an interface", kInterfaceLimit, [&] { return !names().empty(); }, kInterval));
  // udev names an interface some time after it has appeared.
  const Duration naming = pci::sysfs::exists(paths_.run / "udev/control") ? kInterfaceLimit : Duration{0};
  static_cast<void>(wait_until(*clock_, backup.name, naming, has_name, kInterval));
  const auto now = names();
  if (now.empty()) {
    return fail(ErrorCode::timeout, fmt::format("{} has no interface again", address.to_string()),
                "see the kernel's log: dmesg | tail");
  }
  return network_->restore(backup, has_name() ? backup.name : now.front());
}

// With driver_override no other driver can bind to the device, also one that is loaded meanwhile. The driver need not
// know the device's ids. Linux, Documentation/ABI/testing/sysfs-bus-pci, "driver_override".
Result<void> Binder::move_to(pci::Address address, const std::string& driver, const std::string& without_driver) {
  const std::string name = address.to_string();
  const auto device = pci::sysfs::device(paths_, address);
  const auto current = [&] { return pci::sysfs::link_target_name(device / "driver"); };
  if (!driver.empty() && current() == driver) return {};
  // An empty line clears the attribute. An empty write would not reach the kernel.
  auto overridden = pci::sysfs::write(device / "driver_override", (driver.empty() ? without_driver : driver) + "\n");
  if (!overridden) return overridden;
  if (const std::string holder = current(); !holder.empty()) {
    if (auto released = pci::sysfs::write(device / "driver/unbind", name); !released) return released;
    const auto gone = wait_until(
        *clock_, "release", kLimit, [&] { return current() != holder; }, kInterval);
    if (!gone) {
      return fail(ErrorCode::timeout, fmt::format("{} did not release {}", holder, name),
                  "see why in the kernel's log: dmesg | grep " + name);
    }
  }
  if (current().empty()) {
    if (auto probed = pci::sysfs::write(paths_.sys / "bus/pci/drivers_probe", name); !probed) return probed;
  }
  const bool taken = wait_until(
                         *clock_, "probe", driver.empty() ? kChoiceLimit : kLimit,
                         [&] { return driver.empty() ? !current().empty() : current() == driver; }, kInterval)
                         .has_value();
  if (taken || driver.empty()) return {};
  return fail(ErrorCode::not_bound, fmt::format("{} did not bind to {}", driver, name),
              "see why in the kernel's log: dmesg | grep -e vfio -e " + name);
}

}  // namespace pollux::host
