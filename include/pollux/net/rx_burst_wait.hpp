// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "pollux/base/api.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"
#include "pollux/mem/burst.hpp"
#include "pollux/net/rx_queue.hpp"

namespace pollux {

/// Sleeps until `queue` may have frames or `until` has come, after a burst has found none. Returns whether to poll once
/// more. `refusals`: how often in a row the queue was not armed. A part of `rx_burst_wait`.
[[nodiscard]] POLLUX_API Result<bool> sleep_until_frames(Clock& clock, RxQueue& queue, Time until, unsigned& refusals);

/// RxQueue::rx_burst that sleeps while no frame is there, at most for `limit`: polls, arms the queue, and waits on
/// `clock`, which is the Context's. Returns as soon as a burst has frames, with their number; 0 if none came in time.
/// `limit` of zero or less: one burst. A stopped port is waited for, as it may be started again.
/// Thread rule: that of bursts. Errors: not_supported (the queue cannot wake a program, see RxQueue::event_fd),
/// invalid_argument (no room in `burst`), and those of Clock::wait.
template <std::uint32_t Capacity>
[[nodiscard]] Result<std::uint32_t> rx_burst_wait(Clock& clock, RxQueue& queue, Burst<Capacity>& burst,
                                                  Duration limit) {
  if (burst.size() == Capacity)
    return fail(ErrorCode::invalid_argument, "rx_burst_wait: the burst is full", "empty it first");
  const Time until = time_after(clock.now(), limit);
  for (unsigned refusals = 0;;) {
    if (const std::uint32_t count = queue.rx_burst(burst)) return count;
    const auto again = sleep_until_frames(clock, queue, until, refusals);
    if (!again) return tl::unexpected<Error>(again.error());
    if (!*again) return 0U;
  }
}

}  // namespace pollux
