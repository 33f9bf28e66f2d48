// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <csignal>
#include <cstdint>

namespace pollux::vfio_user {

/// While an object exists, a read of memory that a client has taken away (it has truncated its memory file) returns
/// zeros, and a write is lost. Without it, SIGBUS ends the process. Other causes of SIGBUS still end it. The program
/// decides whether it has such an object, because a signal handler belongs to the whole process.
/// Thread rule: at most one object per process. It works for all threads.
class BusErrorGuard {
 public:
  BusErrorGuard();
  BusErrorGuard(const BusErrorGuard&) = delete;
  BusErrorGuard& operator=(const BusErrorGuard&) = delete;
  ~BusErrorGuard();

  /// Number of pages that were replaced.
  [[nodiscard]] std::uint64_t replaced() const noexcept;

 private:
  struct sigaction before_ {};
};

}  // namespace pollux::vfio_user
