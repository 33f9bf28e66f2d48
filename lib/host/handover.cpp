// SPDX-License-Identifier: BSD-3-Clause
#include "host/handover.hpp"

#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include <cerrno>

#include "host/bind_checks.hpp"
#include "pci/device_info.hpp"
#include "pci/iommu_group.hpp"
#include "pci/sysfs.hpp"

namespace pollux::host {
namespace {

constexpr std::size_t kMaxEntry = 1U << 20U;
constexpr Duration kNodeLimit = std::chrono::seconds(2);

std::uint64_t round_up(std::uint64_t value, std::uint64_t unit) {
  return unit == 0 ? value : (value + unit - 1) / unit * unit;
}

Result<void> change_owner(const std::filesystem::path& node, const User& user) {
  if (::chown(node.c_str(), user.uid, user.gid) == 0) return {};
  const int error = errno;
  const bool refused = error == EPERM || error == EACCES || error == EROFS;
  return fail_errno(refused ? ErrorCode::permission_denied : ErrorCode::io_error,
                    fmt::format("cannot change the owner of {} to {}", node.string(), user.name), error,
                    refused ? "run the command as root, with sudo" : "check the file: ls -l " + node.string());
}

std::vector<std::filesystem::path> device_files(const pci::SystemPaths& paths, std::uint32_t number) {
  std::vector<std::filesystem::path> files;
  const auto group = pci::read_group(paths, number);
  if (!group) return files;
  for (const pci::GroupMember& member : group->members) {
    if (!member.address) continue;
    for (const std::string& name : pci::sysfs::entries(pci::sysfs::device(paths, *member.address) / "vfio-dev")) {
      const auto file = paths.dev / "vfio/devices" / name;
      if (pci::sysfs::exists(file)) files.push_back(file);
    }
  }
  return files;
}

}  // namespace

Result<User> find_user(const std::string& name) {
  std::vector<char> buffer(4096);
  passwd entry{};
  passwd* found = nullptr;
  int error = ERANGE;
  while (error == ERANGE && buffer.size() <= kMaxEntry) {
    error = ::getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
    if (error == ERANGE) buffer.resize(buffer.size() * 2);
  }
  if (found != nullptr) return User{name, entry.pw_uid, entry.pw_gid};
  return fail(ErrorCode::not_found, fmt::format("there is no user '{}'", name),
              "see `getent passwd` for all users, or add one: useradd NAME");
}

Result<void> check_hand_over(const pci::SystemPaths& paths, pci::Address address, const User& user) {
  auto device = pci::read_device(paths, address);
  if (!device) return pass_on(std::move(device));
  const bool without_iommu =
      device->iommu_group ? pci::sysfs::exists(paths.dev / "vfio" / fmt::format("noiommu-{}", *device->iommu_group))
                          : noiommu_mode(paths).value_or(false);
  if (!without_iommu) return {};
  return fail(
      ErrorCode::not_supported,
      fmt::format("{} cannot open {}: without an IOMMU only root can open a device", user.name, address.to_string()),
      "bind it without --user and run the program as root, or enable the IOMMU, which restricts the device's "
      "DMA");
}

Result<std::vector<std::filesystem::path>> hand_group_to(const pci::SystemPaths& paths, Clock& clock,
                                                         std::uint32_t group, const User& user) {
  const auto node = paths.dev / "vfio" / std::to_string(group);
  const auto without_iommu = paths.dev / "vfio" / fmt::format("noiommu-{}", group);
  const auto appeared = wait_until(
      clock, node.string(), kNodeLimit, [&] { return pci::sysfs::exists(node) || pci::sysfs::exists(without_iommu); },
      std::chrono::milliseconds(10));
  if (appeared && !pci::sysfs::exists(node)) {
    return fail(ErrorCode::not_supported,
                fmt::format("{} cannot open {}: without an IOMMU only root can open a device", user.name,
                            without_iommu.string()),
                "run the program as root, or enable the IOMMU, which restricts the device's DMA");
  }
  if (!appeared) {
    return fail(ErrorCode::timeout, fmt::format("{} did not appear", node.string()),
                "bind a device of the group to vfio-pci first; in a container, pass /dev/vfio to it");
  }
  std::vector<std::filesystem::path> files = device_files(paths, group);
  files.insert(files.begin(), node);
  for (const auto& file : files) {
    if (auto handed = change_owner(file, user); !handed) return pass_on(std::move(handed));
  }
  return files;
}

std::uint64_t MemlockDemand::bytes() const {
  return ports *
         (round_up(mbufs_per_port * bytes_per_mbuf, page_bytes) + round_up(rings_per_port * ring_bytes, page_bytes));
}

std::string memlock_advice(const User& user, const MemlockDemand& demand) {
  const std::uint64_t kibibytes = round_up(demand.bytes(), 1024) / 1024;
  const std::uint64_t mebibytes = round_up(demand.bytes(), 1U << 20U) >> 20U;
  if (user.uid == 0) return fmt::format("root needs no memlock limit ({} MiB will be pinned)\n", mebibytes);
  return fmt::format(
      "{0} needs a memlock limit of {1} MiB. VFIO pins all memory mapped for DMA, also huge pages: here {2} port{3}\n"
      "with {4} mbufs of {5} bytes (huge pages need 2368) and {6} rings of {7} KiB each. More mbufs need more. Set it "
      "in\n"
      "one of these:\n"
      "  /etc/security/limits.d/pollux.conf, for the next login:  {0} - memlock {8}\n"
      "  the unit of a systemd service:                           LimitMEMLOCK={1}M\n",
      user.name, mebibytes, demand.ports, demand.ports == 1 ? "" : "s", demand.mbufs_per_port, demand.bytes_per_mbuf,
      demand.rings_per_port, demand.ring_bytes / 1024, kibibytes);
}

}  // namespace pollux::host
