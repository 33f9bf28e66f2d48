// SPDX-License-Identifier: BSD-3-Clause
#include "pci/vfio_use.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "base/file_descriptor.hpp"
#include "base/shell_words.hpp"
#include "pci/sysfs.hpp"
#include "pollux/pci/iommu_group.hpp"

namespace pollux::pci {
namespace {

namespace fs = std::filesystem;

/// The character devices through which a process can open the device: that of its group and, since Linux 6.6, its own.
std::vector<fs::path> nodes_of(const SystemPaths& paths, const DeviceInfo& device) {
  std::vector<fs::path> nodes;
  if (device.iommu_group) {
    nodes.push_back(paths.dev / "vfio" / std::to_string(*device.iommu_group));
    nodes.push_back(paths.dev / "vfio" / fmt::format("noiommu-{}", *device.iommu_group));
  }
  for (const std::string& name : sysfs::entries(sysfs::device(paths, device.address) / "vfio-dev")) {
    nodes.push_back(paths.dev / "vfio/devices" / name);
  }
  return nodes;
}

/// What a path or an open file leads to. Regular files are those of tests.
struct FileIdentity {
  bool is_device = false;
  dev_t device = 0;
  ino_t inode = 0;
  bool operator==(const FileIdentity&) const = default;
};

/// By what the kernel knows already: a file of another user's process may belong to a file system that never answers.
std::optional<FileIdentity> identity_of(const fs::path& path) {
  struct statx file {};
  if (::statx(AT_FDCWD, path.c_str(), AT_STATX_DONT_SYNC, STATX_TYPE | STATX_INO, &file) != 0) return std::nullopt;
  if (S_ISCHR(file.stx_mode)) return FileIdentity{true, makedev(file.stx_rdev_major, file.stx_rdev_minor), 0};
  return FileIdentity{false, makedev(file.stx_dev_major, file.stx_dev_minor), file.stx_ino};
}

struct Node {
  fs::path path;
  FileIdentity identity;
};

/// The node of `nodes` that the process has open.
std::optional<fs::path> open_node(const fs::path& process, const std::vector<Node>& nodes) {
  for (const std::string& number : sysfs::entries(process / "fd")) {
    const auto file = identity_of(process / "fd" / number);
    const auto found =
        std::find_if(nodes.begin(), nodes.end(), [&](const Node& node) { return node.identity == file; });
    if (found != nodes.end()) return found->path;
  }
  return std::nullopt;
}

}  // namespace

int probe_node(const fs::path& node) {
  const FileDescriptor attempt(::open(node.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK));
  return attempt ? 0 : errno;
}

std::vector<DeviceHolder> find_holders(const SystemPaths& paths, const DeviceInfo& device, const NodeProbe& probe) {
  const auto candidates = nodes_of(paths, device);
  std::vector<Node> nodes;
  for (const fs::path& path : candidates) {
    if (const auto identity = identity_of(path)) nodes.push_back({path, *identity});
  }
  std::vector<DeviceHolder> holders;
  for (const std::string& process : sysfs::entries(paths.proc)) {
    if (nodes.empty() || process.find_first_not_of("0123456789") != std::string::npos) continue;
    const auto node = open_node(paths.proc / process, nodes);
    if (node) holders.push_back({process, sysfs::process_name(paths.proc / process), *node});
  }
  if (!holders.empty()) return holders;
  // A process in another PID namespace is not visible in /proc. But a group can be opened only once, so opening fails.
  for (const fs::path& path : candidates) {
    if (probe(path) == EBUSY) return {DeviceHolder{{}, {}, path}};
  }
  return {};
}

Result<void> check_not_open(const SystemPaths& paths, const DeviceInfo& device, const NodeProbe& probe) {
  const auto holders = find_holders(paths, device, probe);
  if (holders.empty()) return {};
  const DeviceHolder& first = holders.front();
  if (first.process.empty()) {
    return fail(ErrorCode::group_in_use,
                fmt::format("{} is open in a process that is not visible here", device.address.to_string()),
                "end it first: fuser -v " + shell_quoted(first.node.string()));
  }
  std::string numbers;
  for (const DeviceHolder& holder : holders) numbers += ' ' + holder.process;
  return fail(
      ErrorCode::group_in_use,
      holders.size() == 1
          ? fmt::format("{} is open in process {} ({})", device.address.to_string(), first.process, first.name)
          : fmt::format("{} is open in {} processes, such as {} ({})", device.address.to_string(), holders.size(),
                        first.process, first.name),
      holders.size() == 1 ? "end that process first: kill" + numbers : "end these processes first: kill" + numbers);
}

Result<void> check_functions_not_open(const SystemPaths& paths, const DeviceInfo& device, const NodeProbe& probe) {
  for (const Address& address : sysfs::virtual_functions(paths, device.address)) {
    auto function = read_device(paths, address);
    if (!function || !is_vfio_driver(function->driver)) continue;
    if (function->iommu_group == device.iommu_group) function->iommu_group.reset();
    auto free = check_not_open(paths, *function, probe);
    if (free) continue;
    free.error().what = fmt::format("{}: its virtual function {}", device.address.to_string(), free.error().what);
    return free;
  }
  return {};
}

}  // namespace pollux::pci
