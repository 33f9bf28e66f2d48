// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/base/clock.hpp"

#include <algorithm>
#include <thread>

namespace pollux {

Duration SteadyClock::now() const { return std::chrono::steady_clock::now().time_since_epoch(); }

void SteadyClock::sleep_for(Duration span) {
  if (span > Duration::zero()) std::this_thread::sleep_for(span);
}

void ManualClock::advance(Duration span) {
  while (span > Duration::zero()) {
    const Duration step = std::min(span, kStep);
    now_ += step;
    span -= step;
    for (const Follower& follower : followers_) follower(now_);
  }
}

}  // namespace pollux
