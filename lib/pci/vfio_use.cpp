// SPDX-License-Identifier: BSD-3-Clause
#include "pci/vfio_use.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "base/file_descriptor.hpp"
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

/// The node of `nodes` that the process has open.
std::optional<fs::path> open_node(const fs::path& process, const std::vector<fs::path>& nodes) {
  for (const std::string& number : sysfs::entries(process / "fd")) {
    std::error_code error;
    const fs::path target = fs::read_symlink(process / "fd" / number, error);
    if (!error && std::find(nodes.begin(), nodes.end(), target) != nodes.end()) return target;
  }
  return std::nullopt;
}

}  // namespace

int probe_node(const fs::path& node) {
  const FileDescriptor attempt(::open(node.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK));
  return attempt ? 0 : errno;
}

std::optional<DeviceHolder> find_holder(const SystemPaths& paths, const DeviceInfo& device, const NodeProbe& probe) {
  const auto nodes = nodes_of(paths, device);
  for (const std::string& process : sysfs::entries(paths.proc)) {
    if (process.find_first_not_of("0123456789") != std::string::npos) continue;
    const auto node = open_node(paths.proc / process, nodes);
    if (node) return DeviceHolder{process, sysfs::read_text(paths.proc / process / "comm").value_or("?"), *node};
  }
  // A process in another PID namespace is not visible in /proc. But a group can be opened only once, so opening fails.
  for (const fs::path& node : nodes) {
    if (probe(node) == EBUSY) return DeviceHolder{{}, {}, node};
  }
  return std::nullopt;
}

Result<void> check_not_open(const SystemPaths& paths, const DeviceInfo& device, const NodeProbe& probe) {
  const auto holder = find_holder(paths, device, probe);
  if (!holder) return {};
  const bool visible = !holder->process.empty();
  return fail(
      ErrorCode::group_in_use,
      visible ? fmt::format("{} is open in process {} ({})", device.address.to_string(), holder->process, holder->name)
              : fmt::format("{} is open in a process that is not visible here", device.address.to_string()),
      visible ? "end that process first: kill " + holder->process : "end it first: fuser -v " + holder->node.string());
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
