// SPDX-License-Identifier: BSD-3-Clause
// What the examples of one thread begin and end with: ports on one pool, and a poller that runs until Ctrl-C.
#pragma once

#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "pollux/pollux.hpp"

namespace pollux::examples {

/// Set by the first Ctrl-C; the second one kills the program.
inline std::atomic<bool> stopped{false};
inline void stop_at_ctrl_c() {
  for (const int kind : {SIGINT, SIGTERM}) {
    std::signal(kind, [](int raised) {
      stopped = true;
      std::signal(raised, SIG_DFL);
    });
  }
}

/// The library prints nothing by itself.
inline void print_message(LogLevel level, std::string_view text) {
  const char* const word = level == LogLevel::error ? "error: " : level == LogLevel::warning ? "warning: " : "";
  fmt::print(stderr, "{}{}\n", word, text);
}

/// Started ports. One thread has them all, so they have one pool and one cache.
struct Ports {
  /// `promiscuous`: for frames that are addressed to other stations.
  [[nodiscard]] static Result<std::unique_ptr<Ports>> open(const std::vector<std::string>& uris, bool promiscuous) {
    auto opened = std::make_unique<Ports>();
    for (const std::string& uri : uris) {
      auto port = open_unconfigured(opened->context, uri);
      if (!port) return pass_on(std::move(port));
      opened->ports.push_back(*std::move(port));
    }
    auto pool = Mempool::create(opened->context, {.count = 8192});  // now, so that all these cards can reach it
    if (!pool) return pass_on(std::move(pool));
    opened->pool = *std::move(pool);
    opened->cache.emplace(*opened->pool);
    for (Port& port : opened->ports) {
      const bool all = promiscuous && port.info().supports.test(Setting::promiscuous);
      auto started = port.change([&](Settings& settings) {
        settings.rx = {{.pool = *opened->pool, .cache = *opened->cache}};
        settings.tx = {{.cache = *opened->cache}};
        settings.promiscuous = all;
      });
      if (started) started = port.start();
      if (!started) return pass_on(std::move(started));
    }
    stop_at_ctrl_c();
    return opened;
  }

  Context context{{.log = print_message}};
  std::optional<Mempool> pool;
  std::optional<MempoolCache> cache;
  std::vector<Port> ports;
};

/// Runs the poller until Ctrl-C. The ports are serviced when that is due, and when a device asks for it.
[[nodiscard]] inline Result<void> run_until_ctrl_c(Context& context, Poller& poller) {
  Control& control = context.control();
  Result<Time> next = control.run_due();
  const auto events = poller.add_descriptor(control.event_fd(), [&](short) { next = control.run_due(); });
  if (!events) return tl::unexpected(events.error());
  Result<void> result;
  while (result && !stopped) {
    const auto frames = poller.run_once(context.clock().now() + std::chrono::milliseconds(100));
    if (!frames) result = tl::unexpected(frames.error());
    if (!next) result = tl::unexpected(next.error());
  }
  poller.remove(*events);
  return result;
}

}  // namespace pollux::examples
