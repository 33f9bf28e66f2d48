// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "pci/device_info.hpp"
#include "pollux/base/error.hpp"
#include "pollux/pci/paths.hpp"

namespace pollux::pci {

/// Opens a character device and closes it again. Returns 0 or the errno of open.
using NodeProbe = std::function<int(const std::filesystem::path& node)>;
[[nodiscard]] int probe_node(const std::filesystem::path& node);

/// Who has a device or its IOMMU group open.
struct DeviceHolder {
  std::string process;         ///< the number of the process; empty: it is not visible in /proc
  std::string name;            ///< of the process
  std::filesystem::path node;  ///< the device file that it has open
};

/// Those that were found, each once.
struct DeviceHolders {
  std::vector<DeviceHolder> found;
  bool complete = true;  ///< false: the time was over before the files of all processes had been looked at
};

/// Whether no more files are to be looked at.
using SearchEnd = std::function<bool()>;
/// Far more than the files of a busy machine need. Any user may have millions open.
[[nodiscard]] SearchEnd end_of_search();

/// The processes that have the device or its IOMMU group open: first those of root and of the owners of the device's
/// files are looked at. One that is not visible in /proc, or was not looked at in time, is found only if no other is,
/// and if the kernel refuses to open the device once more. Files are compared by their device numbers: a process may
/// give any file a path, and the device file another one.
[[nodiscard]] DeviceHolders find_holders(const SystemPaths& paths, const DeviceInfo& device,
                                         const NodeProbe& probe = probe_node, const SearchEnd& end = end_of_search());

/// Whether the process with this number has the device or its IOMMU group open now. The number of a holder that was
/// found before may have become another process's.
[[nodiscard]] bool is_holder(const SystemPaths& paths, const DeviceInfo& device, const std::string& process);

/// Error: `group_in_use` if a process has the device or its IOMMU group open. The error names the process if it is
/// visible in /proc. Unbinding such a device from vfio-pci would block uninterruptibly until that process closes it.
/// Where the time was over, a device counts as free if it can be opened: its group, and a device file that is in use,
/// cannot be.
[[nodiscard]] Result<void> check_not_open(const SystemPaths& paths, const DeviceInfo& device,
                                          const NodeProbe& probe = probe_node, const SearchEnd& end = end_of_search());

/// The same for the device's virtual functions. The kernel removes them before their physical function leaves its
/// driver, and waits without limit for whoever has one open. The IOMMU group of the device itself is not looked at: the
/// caller may have it open.
[[nodiscard]] Result<void> check_functions_not_open(const SystemPaths& paths, const DeviceInfo& device,
                                                    const NodeProbe& probe = probe_node,
                                                    const SearchEnd& end = end_of_search());

}  // namespace pollux::pci
