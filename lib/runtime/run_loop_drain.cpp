// SPDX-License-Identifier: BSD-3-Clause
// The end of a run loop: what has been received is handled, and what is to be sent is sent.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <string>

#include "pollux/runtime/run_loop.hpp"

namespace pollux {

Result<void> RunLoop::drain() {
  if (auto outside = expect_no_round("drain"); !outside) return outside;
  const Time deadline = time_after(context_.clock().now(), options_.drain_limit);
  if (auto received = drain_receive(deadline); !received) return received;
  for (PolledQueue* const queue : poller_.queues()) {
    if (auto disabled = queue->disable(options_.drain_limit); !disabled) return disabled;
  }
  return drain_transmit(deadline);
}

// A link partner that goes on sending must not keep the loop, so there is a limit.
Result<void> RunLoop::drain_receive(Time deadline) {
  const std::uint64_t limit = std::uint64_t{kMaxDrained} * poller_.queues().size();
  for (std::uint64_t drained = 0; drained < limit && context_.clock().now() < deadline;) {
    auto found = run_once(Time::min());
    if (!found) return pass_on(std::move(found));
    if (*found == 0) break;
    drained += *found;
  }
  return {};
}

// Transmit work that has more keeps a round from sleeping, but cards need time to send.
Result<void> RunLoop::drain_transmit(Time deadline) {
  while (has_transmit_scheduled() || has_unsent()) {
    if (context_.clock().now() >= deadline) return unfinished();
    if (auto found = run_once(Time::min()); !found) return pass_on(std::move(found));
    context_.clock().sleep_for(Clock::kWaitStep);
  }
  return {};
}

Result<void> RunLoop::unfinished() const {
  const auto scheduled = std::ranges::find_if(transmit_, &TransmitWork::is_scheduled);
  std::string what = "frames are in a transmit ring";
  std::string hint = "check the link: a port without one sends nothing; stopping the port frees them";
  if (scheduled != transmit_.end()) {
    what = (*scheduled)->name_ + " still has frames to send";
    hint = "drop what cannot be sent, or raise RunLoopOptions::drain_limit";
  }
  const std::chrono::duration<double, std::milli> limit = options_.drain_limit;
  return fail(ErrorCode::timeout, fmt::format("{}: {} after {:g} ms", options_.name, what, limit.count()), hint);
}

}  // namespace pollux
