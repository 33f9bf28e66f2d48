// SPDX-License-Identifier: BSD-3-Clause
#include "backends/vfio/preflight.hpp"

#include <fmt/format.h>

#include <string_view>

#include "pollux/pci/iommu_group.hpp"

namespace pollux::vfio {
namespace {

bool is_there(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::exists(path, error);
}

constexpr std::string_view kSwitchOn =
    "switch VT-d (Intel) or AMD-Vi (AMD) on in the firmware and boot with the kernel parameter intel_iommu=on or "
    "amd_iommu=on";

Result<void> check_iommu(const Host& host, const pci::DeviceInfo& device) {
  if (!device.iommu_group) {
    return fail(ErrorCode::no_iommu,
                fmt::format("{} is in no IOMMU group: the machine has no IOMMU, or it is switched off",
                            device.address.to_string()),
                std::string(kSwitchOn));
  }
  if (is_there(host.paths.dev / fmt::format("vfio/noiommu-{}", *device.iommu_group))) {
    return fail(ErrorCode::no_iommu,
                fmt::format("{} is behind no IOMMU: its group {} is one of VFIO's no-IOMMU mode",
                            device.address.to_string(), *device.iommu_group),
                std::string(kSwitchOn));
  }
  return {};
}

}  // namespace

std::filesystem::path group_node(const Host& host, std::uint32_t group) {
  return host.paths.dev / "vfio" / std::to_string(group);
}

Result<void> check_ready(const Host& host, const pci::DeviceInfo& device) {
  if (auto checked = check_iommu(host, device); !checked) return checked;
  if (pci::is_vfio_driver(device.driver)) return {};
  const std::string address = device.address.to_string();
  if (!is_there(host.paths.dev / "vfio/vfio") || !is_there(host.paths.sys / "bus/pci/drivers/vfio-pci")) {
    return fail(ErrorCode::module_not_loaded,
                fmt::format("{} cannot be opened: the kernel's vfio-pci driver is not loaded", address),
                "modprobe vfio-pci && pollux bind " + address);
  }
  return fail(ErrorCode::not_bound,
              device.driver.empty() ? fmt::format("{} has no driver; vfio-pci is needed", address)
                                    : fmt::format("{} is in the hands of the kernel driver {}; vfio-pci is needed",
                                                  address, device.driver),
              "pollux bind " + address);
}

}  // namespace pollux::vfio
