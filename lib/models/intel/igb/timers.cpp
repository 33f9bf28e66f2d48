// SPDX-License-Identifier: BSD-3-Clause
#include "models/intel/igb/timers.hpp"

#include <algorithm>

namespace pollux::models::igb {

Timers::Entry* Timers::earliest() {
  const auto found = std::min_element(entries_.begin(), entries_.end(),
                                      [](const Entry& left, const Entry& right) { return left.due < right.due; });
  return found == entries_.end() ? nullptr : &*found;
}

void Timers::advance(Duration now) {
  while (next_ <= now) {
    Entry* const entry = earliest();
    next_ = entry == nullptr ? kNever : entry->due;
    if (next_ > now || next_ == kNever) break;
    now_ = std::max(now_, entry->due);
    entry->due = kNever;
    entry->action();
  }
  now_ = std::max(now_, now);
}

}  // namespace pollux::models::igb
