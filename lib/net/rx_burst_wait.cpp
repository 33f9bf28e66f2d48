// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/net/rx_burst_wait.hpp"

#include <algorithm>
#include <array>

namespace pollux {

Result<bool> sleep_until_frames(Clock& clock, RxQueue& queue, Time until, unsigned& refusals) {
  const Time now = clock.now();
  if (now >= until) return false;
  std::array waiting{pollfd{queue.event_fd(), POLLIN, 0}};
  if (waiting[0].fd < 0) {
    return fail(ErrorCode::not_supported, "rx_burst_wait: the queue has no descriptor to wait for",
                "poll it with rx_burst; or raise the limit of open files (ulimit -n) if it was reached");
  }
  if (!queue.arm()) {
    // Usually a frame has come since the burst. If it waits for a free mbuf, time must pass, also on a ManualClock.
    if (++refusals > 1) clock.sleep_for(std::min(Clock::kWaitStep, until - now));
    return true;
  }
  refusals = 0;
  const auto ready = clock.wait(waiting, until);
  queue.disarm();
  if (!ready) return tl::unexpected<Error>(ready.error());
  return true;
}

}  // namespace pollux
