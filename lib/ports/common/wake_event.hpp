// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <mutex>

#include "base/file_descriptor.hpp"

namespace pollux::ports {

/// The descriptor on which a thread sleeps until a software port's queue has frames: an eventfd, optionally combined
/// with a descriptor that becomes readable by itself. The first call of `descriptor` makes it, so a program that does
/// not sleep has none. Thread rule: any thread.
class WakeEvent {
 public:
  WakeEvent() = default;
  /// While `source` is readable, it wakes the thread, too. The caller owns it. It must be open when `descriptor` is
  /// first called.
  explicit WakeEvent(int source) noexcept : source_(source) {}

  /// -1 where the process has no descriptor left.
  [[nodiscard]] int descriptor() noexcept;
  /// Makes the descriptor readable. Does nothing before the first call of `descriptor`.
  void raise() noexcept;
  /// Undoes a `raise` that has returned. Needs no system call if there was none. The source is left as it is.
  void clear() noexcept;
  /// The source no longer wakes the thread.
  void forget_source() noexcept;

 private:
  [[nodiscard]] bool make();

  const int source_ = -1;
  std::mutex making_;
  FileDescriptor event_;
  FileDescriptor both_;              // an epoll instance for the event and the source, if there is one
  std::atomic<int> raised_by_{-1};   // event_, once it is made
  std::atomic<int> descriptor_{-1};  // to wait for, once it has been created
  std::atomic<bool> is_raised_{false};
};

}  // namespace pollux::ports
