// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>

#include "base/file_descriptor.hpp"

namespace pollux {

/// The descriptor on which a thread sleeps until a receive queue has frames: an eventfd, or an epoll instance with that
/// eventfd and other sources. The first call of `descriptor` makes it, so a program that does not sleep has none.
/// Thread rule: any thread; `set_source` belongs to one.
class QueueEvent {
 public:
  enum class Trigger : std::uint8_t {
    level,  ///< the source wakes a thread while it is readable
    /// Each signal of the source wakes a thread once. Nobody reads it, so each queue that shares an interrupt's eventfd
    /// gets every signal, and clearing the event of one queue takes nothing from the others.
    edge,
  };

  QueueEvent() = default;
  /// `source`: a descriptor that wakes the thread, too; -1: none yet. Its owner keeps it open.
  explicit QueueEvent(int source, Trigger trigger = Trigger::level) noexcept
      : has_source_(source >= 0 || trigger == Trigger::edge), trigger_(trigger), source_(source) {}

  /// -1 if the process has no descriptor left. Never changes otherwise.
  [[nodiscard]] int descriptor() noexcept;
  /// Makes the descriptor readable. Does nothing before the first call of `descriptor`.
  void raise() noexcept;
  /// Undoes a `raise` that has returned, and all signals of an edge-triggered source. A level-triggered one is left as
  /// it is.
  void clear() noexcept;
  /// Replaces the source of an event that was made with one; -1: nothing but `raise` wakes the thread. Call it with -1
  /// before the owner closes the source.
  void set_source(int source) noexcept;
  /// Adds a descriptor that wakes the thread while it is readable, until it is closed. Call it after `descriptor`, for
  /// an event that was made with a source. False if the kernel takes no more.
  [[nodiscard]] bool add_source(int source) noexcept { return add(source, Trigger::level); }

 private:
  [[nodiscard]] bool make();
  [[nodiscard]] bool add(int descriptor, Trigger trigger) const noexcept;

  const bool has_source_ = false;
  const Trigger trigger_ = Trigger::level;
  std::mutex making_;
  int source_ = -1;  // guarded by making_
  FileDescriptor event_;
  FileDescriptor both_;              // an epoll instance for the event and the source, if there can be one
  std::atomic<int> raised_by_{-1};   // event_, once it is made
  std::atomic<int> descriptor_{-1};  // to wait for, once it is made
  std::atomic<bool> is_raised_{false};
};

}  // namespace pollux
