// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "pollux/base/api.hpp"
#include "pollux/base/misuse.hpp"
#include "pollux/mem/burst.hpp"
#include "pollux/mem/mempool.hpp"
#include "pollux/net/burst_gate.hpp"

namespace pollux {

/// A receive queue of a port. The driver derives from it and supplies the burst function.
/// Ownership: the port's. A reference stays valid until the port is closed; while the port is stopped, bursts are
/// empty.
/// Thread rule: one thread at a time polls a queue. Another thread may start and stop the port meanwhile.
class POLLUX_API RxQueue {
 public:
  using BurstFunction = std::uint32_t(RxQueue& queue, Mbuf** mbufs, std::uint32_t limit) noexcept;

  RxQueue(const RxQueue&) = delete;
  RxQueue& operator=(const RxQueue&) = delete;

  /// Appends received frames to `burst`, in order: at most `limit`, and at most as many as fit. Returns their number.
  /// Never waits. Even if no frame arrived, it refills the ring and sends posted register writes.
  template <std::uint32_t Capacity>
  std::uint32_t rx_burst(Burst<Capacity>& burst, std::uint32_t limit = Capacity,
                         [[maybe_unused]] Site site = Site::here()) noexcept {
    Mbuf** const out = burst.mbufs_ + burst.size_;
    // std::uint32_t{limit} is a copy: choosing between two variables, as std::min does, makes the compiler store both
    // in memory.
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

  /// Refills the ring from `cache` from now on; its pool must be the queue's. Call it from the polling thread, or
  /// before polling starts. Error: invalid_argument for a cache of another pool.
  [[nodiscard]] virtual Result<void> use_cache(const MempoolCache& cache) = 0;

 protected:
  RxQueue() noexcept : gate_(&idle) {}
  ~RxQueue() = default;

  static std::uint32_t idle(RxQueue&, Mbuf**, std::uint32_t) noexcept { return 0; }

  BurstGate<BurstFunction> gate_;
};

}  // namespace pollux
