// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>

#include "backends/vfio/kernel.hpp"

namespace pollux::vfio {

/// How much memory this process has locked and may lock, in bytes.
struct LockedMemory {
  std::uint64_t locked = 0;
  std::optional<std::uint64_t> limit;  ///< RLIMIT_MEMLOCK; absent: unlimited
  bool exempt = false;                 ///< the process has CAP_IPC_LOCK, so the limit does not apply
};

[[nodiscard]] LockedMemory read_locked_memory(const Host& host);

}  // namespace pollux::vfio
