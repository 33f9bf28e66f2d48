// SPDX-License-Identifier: BSD-3-Clause
// Sleeping until frames come: on one queue, and on those of a poller.
#include "pollux/runtime/poller.hpp"

#include <array>

#include "c/describe.hpp"
#include "c/handles.hpp"
#include "pollux/net/rx_queue.hpp"

using namespace pollux;
using namespace pollux::c;

struct pollux_poller {
  std::shared_ptr<Core> core;
  Poller poller{core->context};
};

namespace {

/// Gives the frames of a burst to a callback.
struct Handler {
  pollux_frames_callback* callback;
  void* user;

  void operator()(Burst<64>& burst) const {
    std::array<pollux_frame, 64> frames;
    std::uint32_t count = 0;
    burst.take_each([&](MbufPtr mbuf) noexcept { describe(frames[count++], *mbuf.release()); });
    callback(user, frames.data(), count);
  }
};

}  // namespace

int pollux_rx_event_fd(const pollux_rx* rx) {
  try {
    return queue_of(rx).event_fd();
  } catch (const std::bad_alloc&) {
    return -1;
  }
}

bool pollux_rx_arm(pollux_rx* rx) { return queue_of(rx).arm(); }

void pollux_rx_disarm(pollux_rx* rx) { queue_of(rx).disarm(); }

pollux_code pollux_rx_wait(pollux_context* context, pollux_rx* rx, pollux_frame* frames, uint32_t count,
                           uint64_t nanoseconds, uint32_t* received, pollux_error* error) {
  return run(error, [&]() -> Result<void> {
    if (auto there = need(context, "context"); !there) return there;
    if (auto there = need(rx, "rx"); !there) return there;
    if (auto there = need(received, "received"); !there) return there;
    if (count == 0)
      return fail(ErrorCode::invalid_argument, "there is no room for frames", "pass a count of 1 or more");
    Clock& clock = context->core->context.clock();
    const Time until = time_after(clock.now(), duration(nanoseconds));
    for (unsigned refusals = 0;;) {
      *received = pollux_rx_burst(rx, frames, count);
      if (*received != 0) return {};
      const auto again = sleep_until_frames(clock, queue_of(rx), until, refusals);
      if (!again) return tl::unexpected<Error>(again.error());
      if (!*again) return {};
    }
  });
}

pollux_poller* pollux_poller_open(pollux_context* context, pollux_error* error) {
  return make(error, [&]() -> Result<std::unique_ptr<pollux_poller>> {
    if (auto there = need(context, "context"); !there) return pass_on(std::move(there));
    return std::unique_ptr<pollux_poller>(new pollux_poller{context->core});
  });
}

void pollux_poller_close(pollux_poller* poller) { delete poller; }

pollux_code pollux_poller_add(pollux_poller* poller, pollux_rx* rx, uint32_t weight, pollux_frames_callback* callback,
                              void* user, pollux_error* error) {
  return run(error, [&]() -> Result<void> {
    if (auto there = need(poller, "poller"); !there) return there;
    if (auto there = need(rx, "rx"); !there) return there;
    if (callback == nullptr)
      return fail(ErrorCode::invalid_argument, "a poller needs a callback for the frames", "pass a function");
    PolledQueueOptions options;
    if (weight != 0) options.weight = weight;
    auto added = poller->poller.add(queue_of(rx), Handler{callback, user}, std::move(options));
    if (!added) return pass_on(std::move(added));
    return {};
  });
}

pollux_code pollux_poller_remove(pollux_poller* poller, pollux_rx* rx, pollux_error* error) {
  return run(error, [&]() -> Result<void> {
    if (auto there = need(poller, "poller"); !there) return there;
    if (auto there = need(rx, "rx"); !there) return there;
    PolledQueue* const queue = poller->poller.find(queue_of(rx));
    if (queue == nullptr)
      return fail(ErrorCode::not_found, "the poller does not poll this queue", "add it first: pollux_poller_add");
    return poller->poller.remove(*queue);
  });
}

pollux_code pollux_poller_run_once(pollux_poller* poller, uint64_t nanoseconds, uint32_t* frames, pollux_error* error) {
  return run(error, [&]() -> Result<void> {
    if (auto there = need(poller, "poller"); !there) return there;
    auto found = poller->poller.run_once(time_after(poller->poller.clock().now(), duration(nanoseconds)));
    if (!found) return pass_on(std::move(found));
    if (frames != nullptr) *frames = *found;
    return {};
  });
}

void pollux_poller_wake(pollux_poller* poller) { poller->poller.wake(); }
