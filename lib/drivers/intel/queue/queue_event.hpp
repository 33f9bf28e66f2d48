// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <mutex>

#include "base/file_descriptor.hpp"

namespace pollux::drivers::intel {

/// The descriptor on which a thread sleeps until a card's receive queue has frames. It is an epoll instance with two
/// eventfds: one for changes of the port's state, and the one of the queue's interrupt vector. Nobody reads the latter:
/// it is edge-triggered, so each queue that shares the vector gets every signal, and clearing the event of one queue
/// takes nothing from the others. The first call of `descriptor` makes it, so a program that does not sleep has none.
/// Thread rule: any thread; `set_vector` belongs to the control thread.
class QueueEvent {
 public:
  /// -1 if the process has no descriptor left.
  [[nodiscard]] int descriptor() noexcept;
  /// Makes the descriptor readable. Does nothing before the first call of `descriptor`.
  void raise() noexcept;
  /// Undoes `raise`, and all signals of the vector so far.
  void clear() noexcept;
  /// From now on the signals of this eventfd make the descriptor readable; -1: of none. The Device owns it. Call it
  /// with -1 before the Device closes the eventfd.
  void set_vector(int event) noexcept;

 private:
  [[nodiscard]] bool make();

  std::mutex making_;
  FileDescriptor changes_;
  FileDescriptor epoll_;
  int vector_ = -1;                  // guarded by making_
  std::atomic<int> raised_by_{-1};   // changes_, once it is made
  std::atomic<int> descriptor_{-1};  // epoll_, once it is made
};

}  // namespace pollux::drivers::intel
