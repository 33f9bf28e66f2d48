// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "pollux/base/api.hpp"
#include "pollux/base/misuse.hpp"
#include "pollux/mem/burst.hpp"
#include "pollux/mem/mempool.hpp"
#include "pollux/net/burst_gate.hpp"

namespace pollux {

/// One receive queue of a port. The driver derives from it and supplies the burst function.
/// Ownership: the port's; a reference stays valid until the port is closed, and yields nothing while the port is
/// stopped. Thread rule: one thread polls a queue at a time. Starting and stopping the port from another thread is safe
/// meanwhile.
class POLLUX_API RxQueue {
 public:
  using BurstFunction = std::uint32_t(RxQueue& queue, Mbuf** mbufs, std::uint32_t limit) noexcept;

  RxQueue(const RxQueue&) = delete;
  RxQueue& operator=(const RxQueue&) = delete;

  /// Appends frames that have arrived, in order, to `burst`: as many as there are, at most `limit` and what fits.
  /// Returns how many. Never waits. Also when nothing arrived it gives the card what it is owed and sends posted
  /// register writes.
  template <std::uint32_t Capacity>
  std::uint32_t rx_burst(Burst<Capacity>& burst, std::uint32_t limit = Capacity,
                         [[maybe_unused]] Site site = Site::here()) noexcept {
    Mbuf** const out = burst.mbufs_ + burst.size_;
    // A value of its own: a choice between two variables, like std::min, would have the compiler put both into memory.
    const std::uint32_t most = std::uint32_t{limit} < burst.room() ? std::uint32_t{limit} : burst.room();
    const std::uint32_t count = gate_.call(*this, out, most);
#if POLLUX_CHECKED
    for (std::uint32_t i = 0; i < count; ++i) {
      for (Mbuf* segment = out[i]; segment != nullptr; segment = segment->next()) MbufAccess::stamp(*segment, site);
    }
#endif
    burst.size_ += count;
    return count;
  }

  /// Takes mbufs from `cache` from now on; its pool must be the queue's. Call from the polling thread, or before it
  /// polls. Error: invalid_argument for a cache of another pool.
  [[nodiscard]] virtual Result<void> use_cache(const MempoolCache& cache) = 0;

 protected:
  RxQueue() noexcept : gate_(&idle) {}
  ~RxQueue() = default;

  static std::uint32_t idle(RxQueue&, Mbuf**, std::uint32_t) noexcept { return 0; }

  BurstGate<BurstFunction> gate_;
};

}  // namespace pollux
