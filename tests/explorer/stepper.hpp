// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

namespace pollux::test {

/// Whether code of this build can be stepped through: on x86-64, without the instructions of sanitizers and of
/// coverage, whose counters would make all digests differ.
#if defined(__x86_64__) && !POLLUX_CHECKED
inline constexpr bool kCanStep = true;
#else
inline constexpr bool kCanStep = false;
#endif

/// A thread before its next instruction.
struct SteppedThread {
  /// Of what the code will go on with: its registers, and its part of the stack. Objects have to lie where they did for
  /// digests to be the same.
  std::uint64_t digest = 0;
  /// Whether a register points into the memory that was named. Otherwise the instruction cannot access it.
  bool points_there = false;
};

/// Runs `code`, and calls `between` before its instructions, on this thread: whatever another processor could do
/// between two of them, `between` can do. Once it returns false, the rest of the code runs without steps. `memory`: see
/// SteppedThread.
void step_through(const std::function<void()>& code, std::span<const std::byte> memory,
                  std::function<bool(const SteppedThread&)> between);

}  // namespace pollux::test
