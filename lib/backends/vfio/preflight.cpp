// SPDX-License-Identifier: BSD-3-Clause
#include "backends/vfio/preflight.hpp"

#include <fmt/format.h>

#include <string>

#include "pci/sysfs.hpp"
#include "pollux/pci/iommu_group.hpp"

namespace pollux::vfio {
namespace {

bool path_exists(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::exists(path, error);
}

std::string iommu_hint(const pci::DeviceInfo& device) {
  return fmt::format(
      "switch VT-d (Intel) or AMD-Vi (AMD) on in the firmware and boot with the kernel parameter intel_iommu=on or "
      "amd_iommu=on; or do without an IOMMU, where the card can access all of this machine's memory: "
      "vfio:{}?via=noiommu",
      device.address.to_string());
}

Result<void> check_iommu(const Host& host, const pci::DeviceInfo& device) {
  if (!device.iommu_group) {
    return fail(ErrorCode::no_iommu,
                fmt::format("{} has no IOMMU group: the machine has no IOMMU, or it is switched off",
                            device.address.to_string()),
                iommu_hint(device));
  }
  if (path_exists(no_iommu_node(host, *device.iommu_group))) {
    return fail(ErrorCode::no_iommu,
                fmt::format("{} is not behind an IOMMU: its group {} belongs to VFIO's no-IOMMU mode",
                            device.address.to_string(), *device.iommu_group),
                iommu_hint(device));
  }
  return {};
}

Result<void> check_switched_on(const Host& host, const std::string& address) {
  const auto module = host.paths.sys / "module/vfio";
  const auto enabled = pci::sysfs::read_text(module / "parameters/enable_unsafe_noiommu_mode");
  if (enabled == "Y") return {};
  if (enabled) {
    return fail(
        ErrorCode::no_iommu,
        fmt::format("{} cannot be used without an IOMMU: VFIO's no-IOMMU mode is switched off", address),
        fmt::format("echo 1 > /sys/module/vfio/parameters/enable_unsafe_noiommu_mode && pollux bind {} (the card "
                    "can then access all of this machine's memory)",
                    address));
  }
  if (path_exists(module) || path_exists(host.paths.dev / "vfio/vfio")) {
    return fail(
        ErrorCode::not_supported,
        fmt::format("{} cannot be used without an IOMMU: this kernel is built without VFIO's no-IOMMU mode", address),
        "use a kernel with CONFIG_VFIO_NOIOMMU, or a machine with an IOMMU");
  }
  return fail(
      ErrorCode::module_not_loaded, fmt::format("{} cannot be opened: the kernel's VFIO is not loaded", address),
      fmt::format("modprobe vfio enable_unsafe_noiommu_mode=1 && modprobe vfio-pci && pollux bind {}", address));
}

Result<void> check_bound(const Host& host, const pci::DeviceInfo& device) {
  if (pci::is_vfio_driver(device.driver)) return {};
  const std::string address = device.address.to_string();
  if (!path_exists(host.paths.dev / "vfio/vfio") || !path_exists(host.paths.sys / "bus/pci/drivers/vfio-pci")) {
    return fail(ErrorCode::module_not_loaded,
                fmt::format("{} cannot be opened: the kernel's vfio-pci driver is not loaded", address),
                "modprobe vfio-pci && pollux bind " + address);
  }
  return fail(ErrorCode::not_bound,
              device.driver.empty()
                  ? fmt::format("{} has no driver; vfio-pci is needed", address)
                  : fmt::format("{} is bound to the kernel driver {}; vfio-pci is needed", address, device.driver),
              "pollux bind " + address);
}

}  // namespace

std::filesystem::path group_node(const Host& host, std::uint32_t group) {
  return host.paths.dev / "vfio" / std::to_string(group);
}

std::filesystem::path no_iommu_node(const Host& host, std::uint32_t group) {
  return host.paths.dev / "vfio" / fmt::format("noiommu-{}", group);
}

Result<void> check_ready(const Host& host, const pci::DeviceInfo& device) {
  if (auto checked = check_iommu(host, device); !checked) return checked;
  return check_bound(host, device);
}

Result<void> check_ready_without_iommu(const Host& host, const pci::DeviceInfo& device) {
  const std::string address = device.address.to_string();
  if (device.iommu_group && !path_exists(no_iommu_node(host, *device.iommu_group))) {
    return fail(
        ErrorCode::not_supported,
        fmt::format("{} is behind an IOMMU (group {}), which VFIO's no-IOMMU mode does not switch off", address,
                    *device.iommu_group),
        fmt::format("open it as vfio:{}; to measure without an IOMMU, boot with intel_iommu=off or amd_iommu=off",
                    address));
  }
  if (auto enabled = check_switched_on(host, address); !enabled) return enabled;
  if (auto bound = check_bound(host, device); !bound) return bound;
  if (device.iommu_group) return {};
  return fail(ErrorCode::not_bound,
              fmt::format("{} has no VFIO group: it was bound before the no-IOMMU mode was switched on", address),
              fmt::format("pollux unbind {0} && pollux bind {0}", address));
}

}  // namespace pollux::vfio
