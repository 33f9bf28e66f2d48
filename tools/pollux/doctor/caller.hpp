// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "pollux/base/error.hpp"
#include "pollux/pci/paths.hpp"

namespace pollux::tool::doctor {

/// How much memory a process may lock (RLIMIT_MEMLOCK), in bytes.
struct LockLimits {
  std::optional<std::uint64_t> soft;  ///< absent: unlimited
  std::optional<std::uint64_t> hard;  ///< absent: unlimited
  bool exempt = false;                ///< the process has CAP_IPC_LOCK, so the limits do not apply
};

/// The user who will run a program with the port.
struct Caller {
  std::string name;
  std::uint32_t uid = 0;
  std::optional<LockLimits> locks;  ///< absent: not known, since they belong to another user's processes
  /// Whether the user may open this existing file to read and write.
  std::function<bool(const std::filesystem::path&)> may_open;
};

/// The user of this process.
[[nodiscard]] Caller this_caller(const pci::SystemPaths& paths);

/// Another user, by name; access is found from the files' modes, so access control lists do not count. Error:
/// `not_found`.
[[nodiscard]] Result<Caller> caller_named(const std::string& name);

}  // namespace pollux::tool::doctor
