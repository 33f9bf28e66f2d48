// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstdint>

#include "pollux/base/api.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"

namespace pollux {

/// Executes a full memory barrier on every thread of the process (membarrier(2), MEMBARRIER_CMD_PRIVATE_EXPEDITED), so
/// that the polling thread needs no fence of its own. If the kernel has no membarrier, this sleeps for a millisecond,
/// which is long enough for any store buffer to drain.
POLLUX_API void barrier_on_all_threads(Clock& clock);

/// Holds the function that a queue's bursts call. Another thread may replace the function while bursts run, for example
/// to stop a port. This costs a burst two ordinary stores; `close` does the rest of the synchronization.
/// Thread rule: `call` belongs to the polling thread, `open` and `close` to the thread that controls the port.
template <class Function>
class BurstGate {
 public:
  /// Closed: `call` calls `idle`, which does nothing and returns 0.
  explicit BurstGate(Function* idle) noexcept : function_(idle) {}

  /// Calls the function of `open` with `arguments`, or the idle one, and returns what it returns.
  template <class... Arguments>
  [[nodiscard]] std::uint32_t call(Arguments&&... arguments) noexcept {
    return call_then([](std::uint32_t) noexcept {}, static_cast<Arguments&&>(arguments)...);
  }

  /// Like `call`, and then runs `then(count)` as a part of the burst, so `close` also waits for it.
  template <class Then, class... Arguments>
  [[nodiscard]] std::uint32_t call_then(Then&& then, Arguments&&... arguments) noexcept {
    polling_.store(1, std::memory_order_relaxed);
    // A compiler barrier is enough here: close() makes this processor drain its stores before it reads polling_.
    std::atomic_signal_fence(std::memory_order_seq_cst);
    const std::uint32_t count = function_.load(std::memory_order_acquire)(static_cast<Arguments&&>(arguments)...);
    then(count);
    polling_.store(0, std::memory_order_release);
    return count;
  }

  /// Runs `work()` as part of a burst, unless bursts call `idle`: `close` waits for it, too. Returns whether it ran.
  /// Called by the polling thread.
  template <class Work>
  bool visit(Function* idle, Work&& work) noexcept {
    polling_.store(1, std::memory_order_relaxed);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    const bool is_open = function_.load(std::memory_order_acquire) != idle;
    if (is_open) work();
    polling_.store(0, std::memory_order_release);
    return is_open;
  }

  /// Whether no burst is running. If true, the effects of the last burst are visible.
  [[nodiscard]] bool is_idle() const noexcept { return polling_.load(std::memory_order_acquire) == 0; }

  /// The function that bursts call. Called by the thread that opens and closes.
  [[nodiscard]] Function* current() const noexcept { return function_.load(std::memory_order_relaxed); }
  /// Later bursts call `function`.
  void open(Function* function) noexcept { function_.store(function, std::memory_order_release); }

  /// Later bursts call `idle`. Returns when no burst is inside the earlier function. Error timeout if the polling
  /// thread does not finish its burst within `limit`, because it hangs or was preempted. The gate then stays closed,
  /// and close() may be called again. In virtual time, `limit` is one of the machine's time.
  [[nodiscard]] Result<void> close(Function* idle, Clock& clock, Duration limit) {
    function_.store(idle, std::memory_order_release);
    barrier_on_all_threads(clock);
    return wait_until(clock.for_threads(), "the end of the polling thread's burst", limit,
                      [this] { return polling_.load(std::memory_order_acquire) == 0; });
  }

 private:
  std::atomic<Function*> function_;
  std::atomic<std::uint32_t> polling_{0};
};

}  // namespace pollux
