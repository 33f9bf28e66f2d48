// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string_view>

#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"
#include "pollux/net/rx_queue.hpp"
#include "pollux/net/tx_queue.hpp"

namespace pollux {

/// Attaches observers to queues and lets them count bytes. Thread rule: the port's control thread. `port` is for
/// messages.
struct QueueObservation {
  /// For microseconds bursts go past all observers of the queue; they receive and send as always. Errors: busy
  /// (attached already, or the queue has a forward path), timeout (a poller did not leave its burst). On failure
  /// nothing has changed.
  [[nodiscard]] static Result<void> attach(RxQueue& queue, RxObserver& observer, std::string_view port, Clock& clock,
                                           Duration limit);
  [[nodiscard]] static Result<void> attach(TxQueue& queue, TxObserver& observer, std::string_view port, Clock& clock,
                                           Duration limit);
  /// Afterwards the observer is not called any more. Errors: not_found, timeout (it is still attached).
  [[nodiscard]] static Result<void> detach(RxQueue& queue, RxObserver& observer, std::string_view port, Clock& clock,
                                           Duration limit);
  [[nodiscard]] static Result<void> detach(TxQueue& queue, TxObserver& observer, std::string_view port, Clock& clock,
                                           Duration limit);
  /// Counts the bytes of the queue's bursts, or ends that. Takes effect when the queue's gate is opened next.
  template <class Queue>
  static void count_bytes(Queue& queue, bool on) noexcept {
    queue.observers_.counts_bytes_ = on;
  }
  /// Where the gate leads: to `own`, or to one of the other two, which call it. With the gate closed, or with bursts
  /// that may read the values that are there already.
  template <class Observers, class Function>
  [[nodiscard]] static Function* through(Observers& all, Function* own, Function* counted,
                                         Function* observed) noexcept {
    Function* const next = all.counts_bytes_ ? counted : own;
    if (all.own_ != own) all.own_ = own;
    if (all.next_ != next) all.next_ = next;
    return all.empty() ? all.next_ : observed;
  }
  /// Detaches all observers. Call it with the gate closed.
  template <class Queue>
  static void end(Queue& queue) noexcept {
    queue.observers_.observers_.clear();
  }

 private:
  template <class Queue, class Observer>
  [[nodiscard]] static Result<void> attach_to(Queue& queue, Observer& observer, std::string_view port, Clock& clock,
                                              Duration limit);
  template <class Queue, class Observer>
  [[nodiscard]] static Result<void> detach_from(Queue& queue, Observer& observer, std::string_view port, Clock& clock,
                                                Duration limit);
  template <class Queue, class Change>
  [[nodiscard]] static Result<void> change(Queue& queue, std::string_view port, Clock& clock, Duration limit,
                                           Change&& apply);
};

}  // namespace pollux
