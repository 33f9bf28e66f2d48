// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <filesystem>

namespace pollux::pci {

/// The roots of the kernel's file systems. The defaults are the machine's own; a test puts a tree of plain files below
/// a directory of its own. A plain value; any thread.
struct SystemPaths {
  std::filesystem::path sys = "/sys";
  std::filesystem::path proc = "/proc";
  std::filesystem::path dev = "/dev";
  std::filesystem::path run = "/run";
  std::filesystem::path pci_ids = {};  ///< list of names for libpci; empty: the one it was built with

  /// Every root below `directory`, as in a chroot; names still come from libpci's own list.
  [[nodiscard]] static SystemPaths below(const std::filesystem::path& directory) {
    return {directory / "sys", directory / "proc", directory / "dev", directory / "run", {}};
  }
};

}  // namespace pollux::pci
