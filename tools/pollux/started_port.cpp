// SPDX-License-Identifier: BSD-3-Clause
#include "started_port.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "pollux/net/port_info.hpp"
#include "pollux/net/settings.hpp"

namespace pollux::tool {

Result<Port> open_port(const Environment& environment, const std::string& uri) {
  if (environment.open_port) return environment.open_port(uri);
  return fail(ErrorCode::not_supported, fmt::format("{}: this program opens no ports", uri), "use the pollux command");
}

Result<void> start_port(Port& port, const Mempool& pool) {
  constexpr std::uint32_t kRing = 64;
  const PortLimits& limits = port.info().limits;
  const std::uint32_t ring = nearest_ring(kRing, limits);
  auto configured = port.change([&](Settings& settings) {
    settings.rx = {{.pool = pool, .ring = ring}};
    settings.tx = {{.ring = ring}};
  });
  return configured ? port.start() : configured;
}

// The port is closed before the pool is destroyed, since the port's rings hold its buffers.
Result<void> with_started_port(const Environment& environment, const std::string& uri,
                               const std::function<Result<void>(Port&)>& before,
                               const std::function<Result<void>(Port&)>& after) {
  auto port = open_port(environment, uri);
  if (!port) return tl::unexpected<Error>(port.error());
  auto pool = Mempool::create(environment.context, {.count = 256, .name = "command"});
  if (!pool) return tl::unexpected<Error>(pool.error());
  auto done = before(*port);
  if (done) done = start_port(*port, *pool);
  if (done) done = after(*port);
  auto closed = port->close();
  return done ? closed : done;
}

}  // namespace pollux::tool
