// SPDX-License-Identifier: BSD-3-Clause
#include "host/bind_checks.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "pci/sysfs.hpp"

namespace pollux::host {

Result<void> check_addresses(std::span<const pci::Address> addresses) {
  if (addresses.empty())
    return fail(ErrorCode::invalid_argument, "no device was named", "name at least one PCI address");
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    const auto rest = addresses.subspan(i + 1);
    if (std::find(rest.begin(), rest.end(), addresses[i]) != rest.end()) {
      return fail(ErrorCode::invalid_argument, addresses[i].to_string() + " is named twice", "name each device once");
    }
  }
  return {};
}

Result<void> check_kind(const pci::DeviceInfo& device, bool force) {
  const std::string name = device.address.to_string();
  if (device.is_bridge()) {
    return fail(ErrorCode::invalid_argument, name + " is a PCI bridge; VFIO does not support bridges",
                "name a device behind it; `pollux list` shows the network controllers");
  }
  if (!device.is_network_controller() && !force) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{} is not a network controller (class {:06x}, driver {})", name, device.class_code,
                            device.driver.empty() ? "none" : device.driver),
                "see `pollux list`; if the device shares an IOMMU group and the host does not need it, use --force");
  }
  return {};
}

Result<void> check_vfio_loaded(const pci::SystemPaths& paths) {
  if (pci::sysfs::exists(paths.sys / "bus/pci/drivers" / kVfioDriver)) return {};
  const bool has_iommu = !pci::sysfs::entries(paths.sys / "kernel/iommu_groups").empty();
  return fail(ErrorCode::module_not_loaded, "the kernel module vfio-pci is not loaded",
              has_iommu ? "modprobe vfio-pci" : "modprobe vfio-pci; this machine also lacks an IOMMU: `pollux doctor`");
}

std::optional<bool> noiommu_mode(const pci::SystemPaths& paths) {
  const auto mode = pci::sysfs::read_text(paths.sys / "module/vfio/parameters/enable_unsafe_noiommu_mode");
  return mode ? std::optional(*mode == "Y") : std::nullopt;
}

Result<void> check_iommu(const pci::SystemPaths& paths, const pci::DeviceInfo& device) {
  if (device.iommu_group) return {};
  const auto without = noiommu_mode(paths);
  if (without.value_or(false)) return {};
  const std::string name = device.address.to_string();
  const std::string_view noiommu_hint =
      without ? "; or use no IOMMU, so that the card can access all memory of this machine: "
                "echo 1 > /sys/module/vfio/parameters/enable_unsafe_noiommu_mode, and open it with ?via=noiommu"
              : "";
  if (pci::sysfs::entries(paths.sys / "kernel/iommu_groups").empty()) {
    return fail(
        ErrorCode::no_iommu, name + " has no IOMMU group: this machine has no IOMMU, or the IOMMU is disabled",
        fmt::format("enable VT-d or AMD-Vi in the firmware's setup and boot with the kernel parameter intel_iommu=on "
                    "(Intel) or amd_iommu=on (AMD){}; in a virtual machine: `pollux doctor {}`",
                    noiommu_hint, name));
  }
  return fail(
      ErrorCode::no_iommu, name + " has no IOMMU group, though other devices have",
      fmt::format("no IOMMU of this machine covers its slot: use another slot or another device (`pollux list`){}",
                  noiommu_hint));
}

Result<void> check_permission(const pci::SystemPaths& paths, const pci::DeviceInfo& device) {
  auto writable = pci::sysfs::check_writable(pci::sysfs::device(paths, device.address) / "driver_override");
  if (!writable) return writable;
  return pci::sysfs::check_writable(paths.sys / "bus/pci/drivers_probe");
}

}  // namespace pollux::host
