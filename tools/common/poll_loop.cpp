// SPDX-License-Identifier: BSD-3-Clause
#include "common/poll_loop.hpp"

#include <algorithm>

namespace pollux::tools {

Result<void> run_poller(ProgramSetup& setup, Poller& poller, const StopSignals& stop, std::optional<double> seconds) {
  // The ports are serviced when a device asks for it, and when they are due.
  Control& control = setup.context().control();
  Result<Time> next = control.run_due();
  const auto descriptor = poller.add_descriptor(control.event_fd(), [&](short) { next = control.run_due(); });
  if (!descriptor) return tl::unexpected(descriptor.error());
  Result<void> result;
  const Time end = seconds ? setup.clock().now() + from_seconds(*seconds) : Time::max();
  for (Time now = setup.clock().now(); result && !stop.raised() && now < end; now = setup.clock().now()) {
    const auto frames = poller.run_once(std::min(end, now + kLongestSleep));
    if (!frames) result = tl::unexpected(frames.error());
    if (!next) result = tl::unexpected(next.error());
  }
  poller.remove(*descriptor);
  return result;
}

}  // namespace pollux::tools
