// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/pci/iommu_group.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "pci/sysfs.hpp"
#include "pollux/pci/device_info.hpp"

namespace pollux::pci {
namespace {

GroupMember read_member(const SystemPaths& paths, const std::filesystem::path& group, const std::string& name) {
  GroupMember member;
  member.name = name;
  if (const auto address = Address::parse(name)) {
    const auto info = read_device(paths, *address);
    if (info) {
      member.address = *address;
      member.driver = info->driver;
      member.bridge = info->is_bridge();
      member.network_controller = info->is_network_controller();
      return member;
    }
  }
  member.driver = sysfs::link_target_name(group / "devices" / name / "driver");
  return member;
}

std::string removal_command(const GroupMember& member) {
  if (member.address && member.network_controller) return "pollux bind " + member.name;
  if (member.address) return fmt::format("echo {0} > /sys/bus/pci/devices/{0}/driver/unbind", member.name);
  return fmt::format("echo {0} > /sys/bus/platform/devices/{0}/driver/unbind", member.name);
}

}  // namespace

bool is_vfio_driver(std::string_view driver) {
  return driver == "vfio-pci" || driver.ends_with("-vfio-pci") || driver.ends_with("_vfio_pci") ||
         driver.starts_with("vfio-");
}

bool GroupMember::viable() const { return bridge || driver.empty() || driver == "pci-stub" || is_vfio_driver(driver); }

std::vector<GroupMember> IommuGroup::in_the_way(std::span<const Address> leaving) const {
  std::vector<GroupMember> obstacles;
  for (const GroupMember& member : members) {
    const bool leaves = member.address && std::find(leaving.begin(), leaving.end(), *member.address) != leaving.end();
    if (!leaves && !member.viable()) obstacles.push_back(member);
  }
  return obstacles;
}

Result<IommuGroup> read_group(const SystemPaths& paths, std::uint32_t number) {
  const auto directory = paths.sys / "kernel/iommu_groups" / std::to_string(number);
  if (!sysfs::exists(directory / "devices")) {
    return fail(ErrorCode::not_found, fmt::format("there is no IOMMU group {}", number),
                "see `pollux list` for each device's group");
  }
  IommuGroup group;
  group.number = number;
  for (const std::string& name : sysfs::entries(directory / "devices")) {
    group.members.push_back(read_member(paths, directory, name));
  }
  return group;
}

Result<void> check_viable(const IommuGroup& group, std::span<const Address> leaving) {
  const auto obstacles = group.in_the_way(leaving);
  if (obstacles.empty()) return {};
  std::string listed;
  std::string commands;
  for (const GroupMember& member : obstacles) {
    listed += fmt::format("{}{} ({})", listed.empty() ? "" : ", ", member.name, member.driver);
    commands += (commands.empty() ? "" : " ; ") + removal_command(member);
  }
  std::string subject;
  for (const Address& address : leaving) subject += (subject.empty() ? "" : ", ") + address.to_string();
  return fail(ErrorCode::group_not_viable,
              fmt::format("{}: IOMMU group {} goes to VFIO only as a whole, and the kernel still drives {}", subject,
                          group.number, listed),
              fmt::format("bind them in the same command, or free them first: {}", commands));
}

}  // namespace pollux::pci
