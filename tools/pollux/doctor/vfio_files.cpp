// SPDX-License-Identifier: BSD-3-Clause
#include "doctor/vfio_files.hpp"

#include <fmt/format.h>

#include <charconv>

#include "pci/sysfs.hpp"

namespace pollux::tool::doctor {

namespace sysfs = pci::sysfs;

// Linux, drivers/vfio/group.c, vfio_noiommu_group_alloc.
bool is_noiommu_group(const pci::SystemPaths& paths, std::uint32_t group) {
  return sysfs::read_text(paths.sys / "kernel/iommu_groups" / std::to_string(group) / "name") == "vfio-noiommu";
}

std::vector<std::uint32_t> real_groups(const pci::SystemPaths& paths) {
  std::vector<std::uint32_t> groups;
  for (const std::string& name : sysfs::entries(paths.sys / "kernel/iommu_groups")) {
    std::uint32_t number = 0;
    const auto [stop, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    const bool valid = error == std::errc{} && stop == name.data() + name.size();
    if (valid && !is_noiommu_group(paths, number)) groups.push_back(number);
  }
  return groups;
}

std::optional<bool> noiommu_mode(const pci::SystemPaths& paths) {
  const auto text = sysfs::read_text(paths.sys / "module/vfio/parameters/enable_unsafe_noiommu_mode");
  if (!text) return std::nullopt;
  return *text == "Y";
}

VfioFiles vfio_files(const pci::SystemPaths& paths, const pci::DeviceInfo& device) {
  VfioFiles files;
  const auto container = paths.dev / "vfio/vfio";
  if (device.iommu_group) {
    const auto group = paths.dev / "vfio" / std::to_string(*device.iommu_group);
    const auto noiommu = paths.dev / "vfio" / fmt::format("noiommu-{}", *device.iommu_group);
    if (sysfs::exists(group)) files.group = {container, group};
    if (sysfs::exists(noiommu)) files.noiommu = {container, noiommu};
  }
  for (const std::string& name : sysfs::entries(sysfs::device(paths, device.address) / "vfio-dev")) {
    const auto node = paths.dev / "vfio/devices" / name;
    if (sysfs::exists(node) && sysfs::exists(paths.dev / "iommu")) files.iommufd = {paths.dev / "iommu", node};
  }
  return files;
}

}  // namespace pollux::tool::doctor
