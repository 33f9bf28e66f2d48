// SPDX-License-Identifier: BSD-3-Clause
#include "pci/iommu_group.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/shell_words.hpp"
#include "pci/device_info.hpp"
#include "pci/sysfs.hpp"

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

std::string unbind_command(const GroupMember& member) {
  return fmt::format("echo {0} > /sys/bus/{1}/devices/{0}/driver/unbind", shell_quoted(member.name),
                     member.address ? "pci" : "platform");
}

/// Ports of the group are added to the bind command, because binding one alone fails. Other devices are unbound first.
std::string viable_hint(std::span<const Address> leaving, const std::vector<GroupMember>& obstacles) {
  std::vector<std::string> steps;
  std::string together = "pollux bind";
  bool has_ports = false;
  for (const Address& address : leaving) together += " " + address.to_string();
  for (const GroupMember& member : obstacles) {
    if (member.address && member.network_controller) {
      has_ports = true;
      together += " " + member.name;
    } else {
      steps.push_back(unbind_command(member));
    }
  }
  if (has_ports) steps.push_back("bind them together: " + together);
  return fmt::format("{}", fmt::join(steps, " ; "));
}

}  // namespace

bool is_vfio_driver(std::string_view driver) {
  return driver == "vfio-pci" || driver.ends_with("-vfio-pci") || driver.ends_with("_vfio_pci") ||
         driver.starts_with("vfio-");
}

bool GroupMember::viable() const { return bridge || driver.empty() || driver == "pci-stub" || is_vfio_driver(driver); }

std::vector<GroupMember> IommuGroup::obstacles(std::span<const Address> leaving) const {
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
  const auto obstacles = group.obstacles(leaving);
  if (obstacles.empty()) return {};
  std::vector<std::string> listed;
  for (const GroupMember& member : obstacles) listed.push_back(fmt::format("{} ({})", member.name, member.driver));
  std::vector<std::string> subjects;
  for (const Address& address : leaving) subjects.push_back(address.to_string());
  return fail(ErrorCode::group_not_viable,
              fmt::format("{}: VFIO needs all devices of IOMMU group {}, but kernel drivers are bound to {}",
                          fmt::join(subjects, ", "), group.number, fmt::join(listed, ", ")),
              viable_hint(leaving, obstacles));
}

}  // namespace pollux::pci
