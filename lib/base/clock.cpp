// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/base/clock.hpp"

#include <algorithm>
#include <string>
#include <thread>
#include <utility>

namespace pollux {

Duration SteadyClock::now() const { return std::chrono::steady_clock::now().time_since_epoch(); }

void SteadyClock::sleep_for(Duration span) {
  if (span > Duration::zero()) std::this_thread::sleep_for(span);
}

void ManualClock::advance(Duration span) {
  while (span > Duration::zero()) {
    const Duration step = std::min(span, kStep);
    const Duration then = now() + step;
    now_.store(then.count(), std::memory_order_release);
    span -= step;
    for (const Follower& follower : followers_) follower(then);
  }
}

Result<void> timed_out(std::string_view what, Duration limit) {
  const auto microseconds = std::chrono::duration_cast<std::chrono::microseconds>(limit).count();
  const bool whole = microseconds % 1000 == 0;
  std::string text(what);
  text += " did not happen within ";
  text += std::to_string(whole ? microseconds / 1000 : microseconds);
  text += whole ? " ms" : " us";
  return fail(ErrorCode::timeout, std::move(text));
}

}  // namespace pollux
