// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstdint>

#include "pollux/base/api.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"

namespace pollux {

/// Makes every thread of the process pass a full memory barrier (membarrier(2), MEMBARRIER_CMD_PRIVATE_EXPEDITED), so
/// that a poller's plain stores need no fence of their own. Falls back to a millisecond's sleep, long enough for any
/// store buffer.
POLLUX_API void barrier_on_all_threads(Clock& clock);

/// The function a queue's burst calls go to, which another thread may exchange while they run. Costs the poller two
/// plain stores a burst; all else falls on the thread that starts and stops. Thread rule: `call` belongs to the polling
/// thread, `open` and `close` to the thread that controls the port.
template <class Function>
class BurstGate {
 public:
  explicit BurstGate(Function* idle) noexcept : function_(idle) {}

  template <class... Arguments>
  [[nodiscard]] std::uint32_t call(Arguments&&... arguments) noexcept {
    return call_then([](std::uint32_t) noexcept {}, static_cast<Arguments&&>(arguments)...);
  }

  /// The same, and what else belongs to the burst: `then(count)` runs before anyone who closes the gate goes on.
  template <class Then, class... Arguments>
  [[nodiscard]] std::uint32_t call_then(Then&& then, Arguments&&... arguments) noexcept {
    polling_.store(1, std::memory_order_relaxed);
    // Only the compiler has to keep the order: close() makes this processor drain its stores before it looks.
    std::atomic_signal_fence(std::memory_order_seq_cst);
    const std::uint32_t count = function_.load(std::memory_order_acquire)(static_cast<Arguments&&>(arguments)...);
    then(count);
    polling_.store(0, std::memory_order_release);
    return count;
  }

  /// Whether no burst is going on; what one did that has ended is visible then.
  [[nodiscard]] bool is_idle() const noexcept { return polling_.load(std::memory_order_acquire) == 0; }

  /// From now on bursts go to `function`.
  void open(Function* function) noexcept { function_.store(function, std::memory_order_release); }

  /// From now on bursts go to `idle`; returns when none is inside the earlier function. Error timeout if a poller does
  /// not come out of its burst (it was preempted for that long, or hangs): the gate stays closed, call again.
  [[nodiscard]] Result<void> close(Function* idle, Clock& clock, Duration limit) {
    function_.store(idle, std::memory_order_release);
    barrier_on_all_threads(clock);
    return wait_until(clock, "the polling thread's leaving its burst", limit,
                      [this] { return polling_.load(std::memory_order_acquire) == 0; });
  }

 private:
  std::atomic<Function*> function_;
  std::atomic<std::uint32_t> polling_{0};
};

}  // namespace pollux
