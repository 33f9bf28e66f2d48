// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "pollux/mem/drop_counter.hpp"
#include "pollux/mem/mbuf.hpp"
#include "pollux/runtime/queueing/queue_discipline.hpp"

namespace pollux::queueing {

/// Frees a frame and counts it under `why`.
inline void drop(Mbuf& frame, DropCounter& why) noexcept {
  Mbuf* const dropped = &frame;
  why.add({&dropped, 1});
  MbufDeleter{}(dropped);
}

[[nodiscard]] inline NamedCount named(const DropCounter& counter) { return {counter.name(), counter.value()}; }

/// Appends the counters of `inner`, each with `prefix` before its name.
inline void append_counters(std::vector<NamedCount>& all, const std::string& prefix, const QueueDiscipline& inner) {
  for (NamedCount& one : inner.counters()) all.push_back({prefix + ": " + one.name, one.value});
}

}  // namespace pollux::queueing
