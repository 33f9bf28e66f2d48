// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "common/counted.hpp"
#include "common/rates.hpp"
#include "pollux/pollux.hpp"

namespace pollux::examples {

/// The first 12 bytes of a frame: destination and source address.
using MacPair = std::array<std::uint8_t, 12>;

/// One direction: forwards frames from `rx` to `tx`, or with `path` from ring to ring.
struct Route {
  RxQueue* rx;
  TxQueue* tx;
  MacPair macs;
  ForwardPath* path = nullptr;
};

/// The addresses that DPDK's l2fwd writes into a frame before it sends it on port `index`: destination
/// 02:00:00:00:00:index, source that port's own address.
[[nodiscard]] MacPair l2fwd_macs(std::uint8_t index, const MacAddress& source);

/// A route for each port: to the other port, or back to the same if there is only one, between their queues `queue`.
/// `paths` is empty or has one per port.
[[nodiscard]] std::vector<Route> make_routes(std::vector<Port>& ports,
                                             const std::vector<std::unique_ptr<ForwardPath>>& paths = {},
                                             std::uint16_t queue = 0);

/// Forwards frames, one poll at a time, between queues that all belong to the calling thread. Other threads may read
/// its counters. A full transmit queue is tried `kTxTries` times, since the card frees slots in groups; the remaining
/// frames are dropped as "tx_ring_full". If it waited longer, the receiving card would lose frames instead.
class Forwarder {
 public:
  static constexpr int kTxTries = 8;
  static constexpr std::uint32_t kMaxBurst = 512;

  struct Options {
    std::uint32_t burst = 32;  ///< frames per poll, 1 to kMaxBurst
    bool update_macs = true;
    std::uint64_t limit = UINT64_MAX;  ///< frames to forward in all
  };

  /// `cache` is the cache that the routes' queues use.
  Forwarder(std::vector<Route> routes, const Options& options, MempoolCache& cache);

  /// Polls every route once.
  void poll() noexcept;
  [[nodiscard]] bool limit_reached() const noexcept { return frames_.value() >= options_.limit; }

  [[nodiscard]] Traffic forwarded() const noexcept { return {frames_.value(), bytes_.value()}; }
  [[nodiscard]] std::uint64_t polls() const noexcept { return polls_.value(); }
  [[nodiscard]] std::uint64_t empty_polls() const noexcept { return empty_polls_.value(); }
  [[nodiscard]] const DropCounter& ring_full() const noexcept { return ring_full_; }

 private:
  void forward(const Route& route) noexcept;
  void forward_fused(const Route& route, std::uint32_t limit) noexcept;
  void count(std::uint64_t frames, std::uint64_t bytes) noexcept {
    frames_.add(frames);
    bytes_.add(bytes);
  }

  std::vector<Route> routes_;
  Options options_;
  MempoolCache* cache_;
  Burst<kMaxBurst> burst_;
  DropCounter ring_full_{"tx_ring_full"};
  Counted frames_;
  Counted bytes_;
  Counted polls_;
  Counted empty_polls_;
};

}  // namespace pollux::examples
