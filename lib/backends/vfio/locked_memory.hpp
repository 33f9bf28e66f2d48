// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>

#include "backends/vfio/kernel.hpp"

namespace pollux::vfio {

/// What this process has locked in memory and may lock, in bytes.
struct LockedMemory {
  std::uint64_t locked = 0;
  std::optional<std::uint64_t> limit;  ///< RLIMIT_MEMLOCK; none: unlimited
  bool exempt = false;                 ///< it holds CAP_IPC_LOCK, so the limit does not count
};

[[nodiscard]] LockedMemory read_locked_memory(const Host& host);

}  // namespace pollux::vfio
