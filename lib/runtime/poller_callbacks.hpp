// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <utility>

#include "runtime/poller_core.hpp"

namespace pollux {

template <class Work>
void PollerCore::run_callback(const char* name, bool& threw, bool& stalled, Work work) noexcept {
  const Time start = clock_.now();
  running_.store(name, std::memory_order_relaxed);
  try {
    work();
  } catch (...) {
    note_exception(name, !std::exchange(threw, true));
  }
  running_.store(nullptr, std::memory_order_relaxed);
  const Duration took = clock_.now() - start;
  if (took > options_.stall_limit) [[unlikely]]
    note_stall(name, took, !std::exchange(stalled, true));
}

}  // namespace pollux
