// SPDX-License-Identifier: BSD-3-Clause
#include "pci/device_info.hpp"

#include <algorithm>
#include <charconv>

#include "pci/sysfs.hpp"

namespace pollux::pci {
namespace {

namespace fs = std::filesystem;

std::uint16_t read_id(const fs::path& file) {
  return static_cast<std::uint16_t>(sysfs::read_number(file, 0xffff).value_or(0));
}

int read_node(const fs::path& file) {
  const auto node = sysfs::read_number(file, 0xffff);  // "-1" is not a valid number here
  return node ? static_cast<int>(*node) : -1;
}

std::optional<std::uint32_t> read_group_number(const fs::path& link) {
  const std::string name = sysfs::link_target_name(link);
  std::uint32_t number = 0;
  const char* const end = name.data() + name.size();
  const auto [stop, error] = std::from_chars(name.data(), end, number);
  if (name.empty() || error != std::errc{} || stop != end) return std::nullopt;
  return number;
}

std::vector<std::string> read_interfaces(const SystemPaths& paths, Address address) {
  std::vector<std::string> names;
  for (const fs::path& interface : sysfs::interfaces(paths, address)) names.push_back(interface.filename());
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

Result<DeviceInfo> read_device(const SystemPaths& paths, Address address) {
  const fs::path device = sysfs::device(paths, address);
  if (!sysfs::exists(device)) {
    return fail(ErrorCode::not_found, "there is no PCI device " + address.to_string(),
                "see `pollux list --all`; to find a device that was plugged in: echo 1 > /sys/bus/pci/rescan");
  }
  DeviceInfo info;
  info.address = address;
  info.vendor = read_id(device / "vendor");
  info.device = read_id(device / "device");
  info.subsystem_vendor = read_id(device / "subsystem_vendor");
  info.subsystem_device = read_id(device / "subsystem_device");
  info.class_code = sysfs::read_number(device / "class", 0xffffff).value_or(0);
  info.revision = static_cast<std::uint8_t>(sysfs::read_number(device / "revision", 0xff).value_or(0));
  info.iommu_group = read_group_number(device / "iommu_group");
  info.numa_node = read_node(device / "numa_node");
  info.driver = sysfs::link_target_name(device / "driver");
  info.driver_override = sysfs::read_text(device / "driver_override").value_or("");
  if (info.driver_override == "(null)") info.driver_override.clear();
  info.interfaces = read_interfaces(paths, address);
  return info;
}

Result<std::vector<DeviceInfo>> list_devices(const SystemPaths& paths) {
  const fs::path directory = paths.sys / "bus/pci/devices";
  if (!sysfs::exists(directory)) {
    return fail(ErrorCode::not_supported, "there is no PCI bus in " + paths.sys.string(),
                "mount sysfs: mount -t sysfs sysfs /sys; Pollux needs a machine with PCI");
  }
  std::vector<DeviceInfo> devices;
  for (const std::string& name : sysfs::entries(directory)) {
    const auto address = Address::parse(name);
    if (!address) continue;
    auto info = read_device(paths, *address);
    if (info) devices.push_back(*std::move(info));
  }
  std::sort(devices.begin(), devices.end(), [](const auto& a, const auto& b) { return a.address < b.address; });
  return devices;
}

}  // namespace pollux::pci
