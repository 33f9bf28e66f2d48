// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "common/counted.hpp"
#include "common/output.hpp"
#include "common/rates.hpp"
#include "l2fwd/options.hpp"
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

/// Forwards frames, one poll at a time, between queues that all belong to the calling thread. Other threads may read
/// its counters. A full transmit queue is tried `kTxTries` times, since the card frees slots in groups; the remaining
/// frames are dropped as "tx_ring_full". If it waited longer, the receiving card would lose frames instead. Those of
/// different threads lie apart, so that processors do not take their lines from each other.
class alignas(256) Forwarder {
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

  [[nodiscard]] tools::Traffic forwarded() const noexcept { return {frames_.value(), bytes_.value()}; }
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
  tools::Counted frames_;
  tools::Counted bytes_;
  tools::Counted polls_;
  tools::Counted empty_polls_;
};

/// The program, from opened ports to its summary. Returns its exit status.
[[nodiscard]] int l2fwd(L2fwdOptions& options, const std::shared_ptr<spdlog::logger>& log, tools::Output& output);

}  // namespace pollux::examples
