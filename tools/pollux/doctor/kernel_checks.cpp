// SPDX-License-Identifier: BSD-3-Clause
// What the running kernel offers: mounts, modules and VFIO's access modes.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <vector>

#include "doctor/checks.hpp"
#include "doctor/vfio_files.hpp"
#include "pci/sysfs.hpp"

namespace pollux::tool::doctor {
namespace {

namespace sysfs = pci::sysfs;

struct Mount {
  std::string where;
  std::string type;
  bool read_only = false;
};

// proc(5): device, mount point, type, options.
std::vector<Mount> read_mounts(const pci::SystemPaths& paths) {
  std::vector<Mount> mounts;
  std::ifstream file(paths.proc / "self/mounts");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string device;
    std::string options;
    Mount mount;
    if (words >> device >> mount.where >> mount.type >> options) {
      mount.read_only = options == "ro" || options.starts_with("ro,");
      mounts.push_back(mount);
    }
  }
  return mounts;
}

std::vector<std::string> missing_modules(const pci::SystemPaths& paths) {
  const auto modules = paths.sys / "module";
  std::vector<std::string> missing;
  const bool has_container = sysfs::exists(paths.dev / "vfio/vfio");
  if (!has_container && !sysfs::exists(modules / "vfio") && !sysfs::exists(paths.dev / "iommu")) {
    missing.emplace_back("vfio");
  }
  // A kernel without containers has IOMMUFD instead.
  if (!sysfs::exists(modules / "vfio_iommu_type1") && !sysfs::exists(paths.dev / "iommu")) {
    missing.emplace_back("vfio_iommu_type1");
  }
  if (!sysfs::exists(paths.sys / "bus/pci/drivers/vfio-pci")) missing.emplace_back("vfio-pci");
  return missing;
}

std::string noiommu_text(const pci::SystemPaths& paths) {
  const auto mode = noiommu_mode(paths);
  return mode ? *mode ? "on" : "off" : "not in this kernel";
}

}  // namespace

Finding check_mounts(const Subject& subject) {
  const auto mounts = read_mounts(subject.paths());
  const auto sys = std::find_if(mounts.begin(), mounts.end(), [](const Mount& m) { return m.where == "/sys"; });
  if (mounts.empty()) return {State::unknown, "the list of mounts cannot be read"};
  if (sys == mounts.end())
    return {State::error, "sysfs is not mounted", Remedy::of_steps({{{"mount", "-t", "sysfs", "sysfs", "/sys"}}})};
  if (sys->read_only) {
    return {State::error, "/sys is read-only, as in a container", Remedy{"mount -o remount,rw /sys"},
            "or bind the port on the host, before the container starts"};
  }
  const auto huge = std::find_if(mounts.begin(), mounts.end(), [](const Mount& m) { return m.type == "hugetlbfs"; });
  return {State::ok, "/sys is writable; hugetlbfs " +
                         (huge == mounts.end() ? "is not mounted, and not needed" : "is mounted on " + huge->where)};
}

Finding check_modules(const Subject& subject) {
  const auto missing = missing_modules(subject.paths());
  if (missing.empty()) return {State::ok, "vfio, vfio_iommu_type1 and vfio-pci are there"};
  Invocation load{{"modprobe", "-a"}};
  load.words.insert(load.words.end(), missing.begin(), missing.end());
  return {State::error, fmt::format("not loaded: {}", fmt::join(missing, " ")), Remedy::of_steps({std::move(load)}),
          "at each start of the machine: echo vfio-pci > /etc/modules-load.d/pollux.conf"};
}

Finding check_access_modes(const Subject& subject) {
  const auto& paths = subject.paths();
  const bool group = sysfs::exists(paths.dev / "vfio/vfio");
  const bool iommufd = sysfs::exists(paths.dev / "iommu");
  const std::string found = fmt::format("IOMMUFD: {}, group: {}, no-IOMMU: {}", iommufd ? "yes" : "no /dev/iommu",
                                        group ? "yes" : "no /dev/vfio/vfio", noiommu_text(paths));
  if (!group && !iommufd) {
    return {State::error, found, {}, "load the modules; in a container, pass /dev/vfio into it"};
  }
  if (real_groups(paths).empty() && !noiommu_mode(paths).value_or(false)) {
    return {State::error, found, {}, "all modes but no-IOMMU need an IOMMU: see above"};
  }
  if (real_groups(paths).empty()) {
    return {State::warning, found, {}, "open the port with ?via=noiommu, as root and with huge pages"};
  }
  return {State::ok, found};
}

}  // namespace pollux::tool::doctor
