// SPDX-License-Identifier: BSD-3-Clause
#include "pci/vfio_use.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <memory>
#include <optional>

#include "base/file_descriptor.hpp"
#include "base/shell_words.hpp"
#include "pci/iommu_group.hpp"
#include "pci/sysfs.hpp"

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
std::optional<struct statx> state_of(int directory, const char* path) {
  struct statx file {};
  constexpr unsigned kWanted = STATX_TYPE | STATX_INO | STATX_UID;
  if (::statx(directory, path, AT_STATX_DONT_SYNC, kWanted, &file) != 0) return std::nullopt;
  return file;
}

FileIdentity identity_of(const struct statx& file) {
  if (S_ISCHR(file.stx_mode)) return {true, makedev(file.stx_rdev_major, file.stx_rdev_minor), 0};
  return {false, makedev(file.stx_dev_major, file.stx_dev_minor), file.stx_ino};
}

struct Node {
  fs::path path;
  FileIdentity identity;
  uid_t owner = 0;
};

/// The node of `nodes` that the process has open.
std::optional<fs::path> open_node(const fs::path& process, const std::vector<Node>& nodes, const SearchEnd& end) {
  const std::unique_ptr<DIR, int (*)(DIR*)> files(::opendir((process / "fd").c_str()), ::closedir);
  if (files == nullptr) return std::nullopt;
  while (const dirent* const entry = ::readdir(files.get())) {
    if (end()) return std::nullopt;
    if (entry->d_name[0] == '.') continue;
    const auto file = state_of(::dirfd(files.get()), entry->d_name);
    if (!file) continue;
    const auto found =
        std::ranges::find_if(nodes, [&](const Node& node) { return node.identity == identity_of(*file); });
    if (found != nodes.end()) return found->path;
  }
  return std::nullopt;
}

std::vector<Node> existing_nodes(const std::vector<fs::path>& candidates) {
  std::vector<Node> nodes;
  for (const fs::path& path : candidates) {
    if (const auto node = state_of(AT_FDCWD, path.c_str())) nodes.push_back({path, identity_of(*node), node->stx_uid});
  }
  return nodes;
}

/// The numbers of all processes, with those of root and of the owners of `nodes` first: others may have any number of
/// files open, to hide those.
std::vector<std::string> processes_in_order(const SystemPaths& paths, const std::vector<Node>& nodes) {
  std::vector<std::string> processes = sysfs::entries(paths.proc);
  std::erase_if(processes,
                [](const std::string& name) { return name.find_first_not_of("0123456789") != std::string::npos; });
  std::stable_partition(processes.begin(), processes.end(), [&](const std::string& process) {
    const auto state = state_of(AT_FDCWD, (paths.proc / process).c_str());
    if (!state) return false;
    const auto is_owner = [&](const Node& node) { return node.owner == state->stx_uid; };
    return state->stx_uid == 0 || std::ranges::any_of(nodes, is_owner);
  });
  return processes;
}

}  // namespace

int probe_node(const fs::path& node) {
  const FileDescriptor attempt(::open(node.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK));
  return attempt ? 0 : errno;
}

SearchEnd end_of_search() {
  constexpr std::chrono::seconds kLongest{5};
  using Clock = std::chrono::steady_clock;
  return [until = Clock::now() + kLongest] { return Clock::now() >= until; };
}

DeviceHolders find_holders(const SystemPaths& paths, const DeviceInfo& device, const NodeProbe& probe,
                           const SearchEnd& end) {
  const auto candidates = nodes_of(paths, device);
  const auto nodes = existing_nodes(candidates);
  DeviceHolders holders;
  const auto processes = nodes.empty() ? std::vector<std::string>() : processes_in_order(paths, nodes);
  for (const std::string& process : processes) {
    const auto node = open_node(paths.proc / process, nodes, end);
    if (node) holders.found.push_back({process, sysfs::process_name(paths.proc / process), *node});
    holders.complete = !end();
    if (!holders.complete) break;
  }
  if (!holders.found.empty()) return holders;
  // A process in another PID namespace is not visible in /proc. But a group can be opened only once, so opening fails.
  for (const fs::path& path : candidates) {
    if (probe(path) != EBUSY) continue;
    holders.found.push_back({{}, {}, path});
    break;
  }
  return holders;
}

bool is_holder(const SystemPaths& paths, const DeviceInfo& device, const std::string& process) {
  return open_node(paths.proc / process, existing_nodes(nodes_of(paths, device)), end_of_search()).has_value();
}

Result<void> check_not_open(const SystemPaths& paths, const DeviceInfo& device, const NodeProbe& probe,
                            const SearchEnd& end) {
  const auto [holders, complete] = find_holders(paths, device, probe, end);
  if (holders.empty()) return {};
  const DeviceHolder& first = holders.front();
  if (first.process.empty()) {
    return fail(ErrorCode::group_in_use,
                fmt::format("{} is open in a process that {}", device.address.to_string(),
                            complete ? "is not visible here" : "was not found in time: too many files are open"),
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

Result<void> check_functions_not_open(const SystemPaths& paths, const DeviceInfo& device, const NodeProbe& probe,
                                      const SearchEnd& end) {
  for (const Address& address : sysfs::virtual_functions(paths, device.address)) {
    auto function = read_device(paths, address);
    if (!function || !is_vfio_driver(function->driver)) continue;
    if (function->iommu_group == device.iommu_group) function->iommu_group.reset();
    auto free = check_not_open(paths, *function, probe, end);
    if (free) continue;
    free.error().what = fmt::format("{}: its virtual function {}", device.address.to_string(), free.error().what);
    return free;
  }
  return {};
}

}  // namespace pollux::pci
