// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <pollux/pollux.hpp>

#include <chrono>
#include <thread>

#include "cases.hpp"

namespace baselines {

template <class T>
T need(pollux::Result<T> result) {
  if (!result) give_up(result.error().message().c_str());
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

/// Memory and ports of Pollux, configured but not started. Rings have 512 descriptors, or what is nearest to it.
struct PolluxSetup {
  pollux::Context context{{.log = [](pollux::LogLevel level, std::string_view text) {
    if (level >= pollux::LogLevel::warning) std::fprintf(stderr, "%.*s\n", static_cast<int>(text.size()), text.data());
  }}};
  pollux::Mempool pool = need(pollux::Mempool::create(context, {.count = 8192}));
  pollux::MempoolCache cache{pool};
  std::vector<pollux::Port> ports;

  PolluxSetup(const Options& options, std::uint16_t tx_queues) {
    const auto mode = pollux::burst_mode_of(options.burst_mode);
    if (!mode) give_up("unknown burst mode");
    for (const std::string& address : options.ports) {
      const bool is_address = address.find_first_not_of("0123456789abcdefABCDEF:.") == std::string::npos;
      ports.push_back(need(pollux::open_unconfigured(context, is_address ? "vfio:" + address : address)));
      need(ports.back().change([&](pollux::Settings& settings) {
        settings.rx = {{.pool = pool, .cache = cache}};
        settings.tx = {tx_queues, {.cache = cache}};
        settings.promiscuous = true;
        settings.burst_mode = *mode;
      }));
    }
  }
  void start() {
    for (pollux::Port& port : ports) need(port.start());
    for (pollux::Port& port : ports) need(port.wait_for_link(std::chrono::seconds(9)));
    // The kernel sends nothing to a TAP until a task of its own has seen that the TAP is open.
    if (ports.front().info().driver == "tap") std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
};

/// Writes the frame to each of the burst's empty mbufs.
template <unsigned B, std::size_t kBytes>
[[gnu::always_inline]] inline void write(pollux::Burst<B>& burst,
                                         const std::array<std::uint8_t, kBytes>& frame) noexcept {
  for (pollux::Mbuf& mbuf : burst) {
    void* const data = mbuf.append(kBytes);
    if (data == nullptr) give_up("no room in an mbuf");
    std::memcpy(data, frame.data(), kBytes);
  }
}

}  // namespace baselines
