// SPDX-License-Identifier: BSD-3-Clause
#include "pci/vfio_use.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "base/file_descriptor.hpp"
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

bool has_open(const fs::path& process, const std::vector<fs::path>& nodes) {
  for (const std::string& number : sysfs::entries(process / "fd")) {
    std::error_code error;
    const fs::path target = fs::read_symlink(process / "fd" / number, error);
    if (!error && std::find(nodes.begin(), nodes.end(), target) != nodes.end()) return true;
  }
  return false;
}

tl::unexpected<Error> in_use(const DeviceInfo& device, const std::string& holder, const std::string& hint) {
  return fail(ErrorCode::group_in_use, fmt::format("{} is open in {}", device.address.to_string(), holder), hint);
}

}  // namespace

int probe_node(const fs::path& node) {
  const FileDescriptor attempt(::open(node.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK));
  return attempt ? 0 : errno;
}

Result<void> check_not_open(const SystemPaths& paths, const DeviceInfo& device, const NodeProbe& probe) {
  const auto nodes = nodes_of(paths, device);
  for (const std::string& process : sysfs::entries(paths.proc)) {
    if (process.find_first_not_of("0123456789") != std::string::npos) continue;
    if (!has_open(paths.proc / process, nodes)) continue;
    const auto name = sysfs::read_text(paths.proc / process / "comm").value_or("?");
    return in_use(device, fmt::format("process {} ({})", process, name), "end that process first: kill " + process);
  }
  // A process in another PID namespace is not visible in /proc. But a group can be opened only once, so opening fails.
  for (const fs::path& node : nodes) {
    if (probe(node) == EBUSY) {
      return in_use(device, "a process that is not visible here", "end it first: fuser -v " + node.string());
    }
  }
  return {};
}

}  // namespace pollux::pci
