// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <filesystem>

namespace pollux::pci {

/// The mount points of the kernel's file systems. A test uses a directory with a tree of regular files instead. A plain
/// value; any thread.
struct SystemPaths {
  /// Where these file systems are mounted.
  ///@{
  std::filesystem::path sys = "/sys";
  std::filesystem::path proc = "/proc";
  std::filesystem::path dev = "/dev";
  std::filesystem::path run = "/run";
  ///@}
  std::filesystem::path pci_ids = {};  ///< list of names for libpci; empty: libpci's default
  std::filesystem::path etc = "/etc";  ///< the machine's configuration

  /// All mount points below `directory`, as in a chroot. Names still come from libpci's default list.
  [[nodiscard]] static SystemPaths below(const std::filesystem::path& directory) {
    return {directory / "sys", directory / "proc", directory / "dev", directory / "run", {}, directory / "etc"};
  }
};

}  // namespace pollux::pci
