// SPDX-License-Identifier: BSD-3-Clause
#include "l2fwd/forwarder.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace pollux::examples {

MacPair l2fwd_macs(std::uint8_t index, const MacAddress& source) {
  MacPair macs{0x02, 0, 0, 0, 0, index};
  std::copy(source.begin(), source.end(), macs.begin() + 6);
  return macs;
}

std::vector<Route> make_routes(std::vector<Port>& ports, const std::vector<std::unique_ptr<ForwardPath>>& paths,
                               std::uint16_t queue) {
  std::vector<Route> routes;
  for (std::size_t in = 0; in < ports.size(); ++in) {
    const std::size_t out = ports.size() - 1 - in;
    routes.push_back({&ports[in].rx(queue), &ports[out].tx(queue),
                      l2fwd_macs(static_cast<std::uint8_t>(out), ports[out].mac()),
                      paths.empty() ? nullptr : paths[in].get()});
  }
  return routes;
}

Forwarder::Forwarder(std::vector<Route> routes, const Options& options, MempoolCache& cache)
    : routes_(std::move(routes)), options_(options), cache_(&cache) {}

void Forwarder::poll() noexcept {
  for (const Route& route : routes_) forward(route);
}

void Forwarder::forward(const Route& route) noexcept {
  const std::uint64_t left = options_.limit - frames_.value();
  const auto limit = static_cast<std::uint32_t>(std::min<std::uint64_t>(options_.burst, left));
  if (route.path != nullptr) return forward_fused(route, limit);
  const std::uint32_t received = route.rx->rx_burst(burst_, limit);
  polls_.add(1);
  if (received == 0) {
    empty_polls_.add(1);
    route.tx->tx_done_cleanup();
    return;
  }
  std::uint64_t bytes = 0;
  for (Mbuf& mbuf : burst_) {
    // Every buffer has room for an Ethernet header, so this stays inside the buffer for any frame length.
    if (options_.update_macs) std::memcpy(mbuf.data(), route.macs.data(), route.macs.size());
    bytes += mbuf.packet_length();
  }
  std::uint32_t sent = route.tx->tx_burst(burst_);
  for (int tries = 1; !burst_.empty() && tries < kTxTries; ++tries) [[unlikely]] {
      io::relax();
      sent += route.tx->tx_burst(burst_);
    }
  for (const Mbuf& unsent : burst_) bytes -= unsent.packet_length();
  count(sent, bytes);
  burst_.drop(ring_full_, *cache_);
}

// Frames without room in the transmit ring stay in the receive ring, so none are dropped here.
void Forwarder::forward_fused(const Route& route, std::uint32_t limit) noexcept {
  std::uint64_t bytes = 0;
  const std::uint32_t moved = route.path->burst(limit, [&](ForwardedFrame& frame) {
    if (options_.update_macs) std::memcpy(frame.data, route.macs.data(), route.macs.size());
    bytes += frame.packet_length;
  });
  polls_.add(1);
  if (moved == 0) empty_polls_.add(1);
  count(moved, bytes);
}

}  // namespace pollux::examples
