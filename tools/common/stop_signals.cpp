// SPDX-License-Identifier: BSD-3-Clause
#include "common/stop_signals.hpp"

#include <atomic>

namespace pollux::tools {
namespace {

// A signal handler has no argument for a context, so its flag is global.
std::atomic<bool> stop_raised{false};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler may not wait for a lock");

void raise_stop(int) { stop_raised.store(true, std::memory_order_relaxed); }

}  // namespace

StopSignals::StopSignals() {
  stop_raised.store(false, std::memory_order_relaxed);
  struct sigaction action {};
  action.sa_handler = raise_stop;
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  sigaction(SIGINT, &action, &interrupt_before_);
  sigaction(SIGTERM, &action, &terminate_before_);
}

StopSignals::~StopSignals() {
  sigaction(SIGINT, &interrupt_before_, nullptr);
  sigaction(SIGTERM, &terminate_before_, nullptr);
}

bool StopSignals::raised() const noexcept { return stop_was_raised(); }

bool stop_was_raised() noexcept { return stop_raised.load(std::memory_order_relaxed); }

}  // namespace pollux::tools
