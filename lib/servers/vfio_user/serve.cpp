// SPDX-License-Identifier: BSD-3-Clause
#include "servers/vfio_user/serve.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>
#include <vector>

namespace pollux::vfio_user {
namespace {

constexpr Duration kMaxWait = std::chrono::milliseconds(100);
/// The shortest sleep. A card whose next event is always due would make the server spin.
constexpr Duration kMinWait = std::chrono::microseconds(10);

}  // namespace

Result<void> serve(Clock& clock, std::span<const std::unique_ptr<Server>> servers,
                   const std::function<bool()>& stopped) {
  return serve_beside(clock, servers, {.run = [&] { return stopped() ? std::nullopt : std::optional(Time::max()); }});
}

Result<void> serve_beside(Clock& clock, std::span<const std::unique_ptr<Server>> servers, const OtherWork& other) {
  std::vector<pollfd> descriptors;
  while (const std::optional<Time> due = other.run()) {
    const Time now = clock.now();
    Time until = std::min(*due, now + kMaxWait);
    descriptors.assign(1, pollfd{other.descriptor, POLLIN, 0});
    for (const auto& server : servers) server->work();
    for (const auto& server : servers) {
      server->relay();
      until = std::min(until, server->next());
      // A negative descriptor is ignored by poll(2).
      for (const pollfd& descriptor : server->descriptors()) descriptors.push_back(descriptor);
    }
    auto waited = clock.wait(descriptors, std::max(until, now + kMinWait));
    if (!waited) return pass_on(std::move(waited));
  }
  return {};
}

}  // namespace pollux::vfio_user
