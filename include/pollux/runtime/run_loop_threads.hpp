// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "pollux/base/api.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"
#include "pollux/runtime/run_loop.hpp"

namespace pollux {

/// One loop and its thread.
struct RunLoopThreadOptions {
  RunLoopOptions loop = {};  ///< the first 15 bytes of its name are the thread's, too; empty: "run loop N"
  /// The processor that the thread runs on, as the kernel numbers them. nullopt: any that the process may use.
  std::optional<unsigned> core = {};
};

/// Run loops, each on a thread of its own:
///
///     auto loops = RunLoopThreads::create(context, {{.core = 2}, {.core = 3}});
///     (*loops)->loop(0).poller().add(port.rx(0), ...);
///     if (auto started = (*loops)->start(); !started) ...
///     ...
///     if (auto stopped = (*loops)->stop(); !stopped) ...      // a loop's failure, or a loop that does not end
///
/// Each loop has its own queues and its own MempoolCache (RxQueue::use_cache), since these belong to one thread. The
/// threads block all signals, so that they reach the program's own threads. The Context's clock has to pass by itself:
/// with a ManualClock, call run_once of each loop instead.
/// Thread rule: one thread at a time calls start and stop. Before start and after stop it may use all of a loop;
/// meanwhile it uses what RunLoop lets other threads use.
class POLLUX_API RunLoopThreads {
 public:
  /// The default limit of `stop`: longer than RunLoopOptions::drain_limit.
  static constexpr Duration kStopLimit = std::chrono::seconds(3);

  /// Errors: invalid_argument (no loops; a core that the process may not use, or that two loops want).
  [[nodiscard]] static Result<std::unique_ptr<RunLoopThreads>> create(Context& context,
                                                                      std::vector<RunLoopThreadOptions> options);
  RunLoopThreads(const RunLoopThreads&) = delete;
  RunLoopThreads& operator=(const RunLoopThreads&) = delete;
  /// Stops the loops, and waits for the threads without a limit.
  ~RunLoopThreads();

  /// Number of loops.
  [[nodiscard]] std::size_t size() const noexcept { return threads_.size(); }
  /// `index`: less than `size()`, else it throws std::out_of_range.
  [[nodiscard]] RunLoop& loop(std::size_t index);

  /// Starts a thread for each loop. If one cannot be started, those that were are stopped. Errors: bad_state (started
  /// already), io_error (no thread), permission_denied (it may not be pinned).
  [[nodiscard]] Result<void> start();
  /// Stops all loops, which drain, and waits for their threads. Returns the first failure of a loop. Error timeout: a
  /// thread did not end within `limit` (real time); it names the loop and the callback that has not returned. The loop
  /// is in use then, and stop may be called again. Without effect if the threads are not running.
  [[nodiscard]] Result<void> stop(Duration limit = kStopLimit);
  /// The error that ended a loop before it was stopped, the first one's; the other loops go on. Any thread.
  [[nodiscard]] Result<void> failure() const;

 private:
  class LoopThread;
  explicit RunLoopThreads(std::vector<std::unique_ptr<LoopThread>> threads);

  std::vector<std::unique_ptr<LoopThread>> threads_;
};

}  // namespace pollux
