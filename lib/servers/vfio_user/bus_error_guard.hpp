// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace pollux::vfio_user {

/// A range of this process that maps a client's memory. BusErrorGuard replaces such ranges and nothing else.
/// Thread rule: any thread makes and destroys them. While one exists, its range stays mapped.
class GuardedRange {
 public:
  GuardedRange() = default;
  /// `memory` and `bytes` are multiples of the page size of the mapping.
  GuardedRange(std::byte* memory, std::size_t bytes);
  GuardedRange(GuardedRange&& other) noexcept : entry_(std::exchange(other.entry_, nullptr)) {}
  GuardedRange& operator=(GuardedRange&&) = delete;
  ~GuardedRange();

  /// The client has taken the memory away: the range has zeros, or what was written there since.
  [[nodiscard]] bool is_lost() const noexcept;
  /// Number of ranges of this process that were lost so far.
  [[nodiscard]] static std::uint64_t lost() noexcept;

 private:
  struct Entry;
  friend class BusErrorGuard;
  [[nodiscard]] static Entry* take_entry();

  static std::atomic<Entry*> first_;
  Entry* entry_ = nullptr;
};

/// While an object exists, a client that takes away memory that it has passed (it truncates the file) does not end the
/// process: the range is replaced by zeroed private memory. The whole range, since page by page the process would run
/// out of mappings. Other causes of SIGBUS still end it. The program decides whether it has such an object, because a
/// signal handler belongs to the whole process.
/// Thread rule: at most one object per process. It works for all threads.
class BusErrorGuard {
 public:
  BusErrorGuard();
  BusErrorGuard(const BusErrorGuard&) = delete;
  BusErrorGuard& operator=(const BusErrorGuard&) = delete;
  ~BusErrorGuard();

 private:
  static void on_bus_error(int signal, siginfo_t* info, void* context) noexcept;
  static bool replace(const void* address) noexcept;

  struct sigaction before_ {};
};

}  // namespace pollux::vfio_user
