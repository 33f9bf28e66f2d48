// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "setup.hpp"

namespace pollux::bench {

/// Work of several threads, each with a queue of its own of one port: number `thread`. All functions but the destructor
/// run on that thread.
class ThreadedWorkload {
 public:
  ThreadedWorkload() = default;
  ThreadedWorkload(const ThreadedWorkload&) = delete;
  ThreadedWorkload& operator=(const ThreadedWorkload&) = delete;
  virtual ~ThreadedWorkload() = default;

  virtual void enter() {}  ///< first of all
  virtual void leave() {}  ///< last of all
  /// The card's work for the thread's queue, which is not measured.
  virtual void prepare(std::uint32_t thread) = 0;
  /// The software's work for `Setup::frames` frames.
  virtual void run(std::uint32_t thread) = 0;
};

/// Forwarding on `setup.queues` queues of Pollux's igb driver, by as many threads.
[[nodiscard]] std::unique_ptr<ThreadedWorkload> forward_on_threads(const Setup& setup);

/// Runs a thread on each of `cores` at the same time. Returns the ticks of the time stamp counter that a frame takes
/// the thread that handles it: the mean over the threads of the median over their rounds.
[[nodiscard]] double cycles_on_threads(ThreadedWorkload& workload, const Setup& setup, std::span<const unsigned> cores);

/// The processor that this thread runs on, and another one that it may use, or only the first.
[[nodiscard]] std::span<const unsigned> two_cores();

}  // namespace pollux::bench
