// SPDX-License-Identifier: BSD-3-Clause
// Callbacks that throw, stall or do not return.
#include <fmt/format.h>

#include <chrono>
#include <exception>

#include "runtime/poller_core.hpp"

namespace pollux {

void PollerCore::note_exception(std::string_view name, bool first) noexcept {
  PolledQueue::count(exceptions_, 1);
  try {
    if (options_.on_exception) return options_.on_exception(name, std::current_exception());
    if (!first) return;
    try {
      throw;
    } catch (const std::exception& thrown) {
      context_.log(LogLevel::error, fmt::format("poller: {} threw an exception: {}", name, thrown.what()));
    } catch (...) {
      context_.log(LogLevel::error, fmt::format("poller: {} threw an exception", name));
    }
  } catch (...) {  // of the callback that was to be told
    PolledQueue::count(exceptions_, 1);
  }
}

void PollerCore::note_stall(std::string_view name, Duration took, bool first) noexcept {
  PolledQueue::count(stalls_, 1);
  try {
    if (options_.on_stall) return options_.on_stall(name, took);
    if (!first) return;
    const std::chrono::duration<double, std::milli> milliseconds = took;
    context_.log(LogLevel::warning,
                 fmt::format("poller: {} kept the queues waiting for {:.1f} ms", name, milliseconds.count()));
  } catch (...) {
    PolledQueue::count(exceptions_, 1);
  }
}

std::string PollerCore::running() const {
  const std::lock_guard lock(names_);
  const char* const name = running_.load(std::memory_order_relaxed);
  return name == nullptr ? std::string() : name;
}

}  // namespace pollux
