// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "pollux/base/api.hpp"
#include "pollux/mem/burst.hpp"
#include "pollux/mem/mempool.hpp"
#include "pollux/net/burst_gate.hpp"

namespace pollux {

/// One transmit queue of a port. The driver derives from it and supplies the burst function.
/// Ownership: the port's; a reference stays valid until the port is closed, and takes nothing while the port is
/// stopped. Thread rule: one thread sends on a queue at a time. Starting and stopping the port from another thread is
/// safe meanwhile.
class POLLUX_API TxQueue {
 public:
  using BurstFunction = std::uint32_t(TxQueue& queue, Mbuf* const* mbufs, std::uint32_t count) noexcept;

  TxQueue(const TxQueue&) = delete;
  TxQueue& operator=(const TxQueue&) = delete;

  /// Takes frames from the front of `burst`, in order, until the ring is full; the rest stays in the burst. Returns how
  /// many it took. Frames that cannot be sent (too long, too short, too many segments, memory that the card cannot
  /// reach) are taken, too: given back to their pool and counted in Stats::drops. An empty burst does the same as
  /// `tx_done_cleanup`. Mbufs of another Context are a misuse: checked builds report them, others may take them for
  /// their own, since pools are told apart within a Context only.
  template <std::uint32_t Capacity>
  std::uint32_t tx_burst(Burst<Capacity>& burst) noexcept {
    const std::uint32_t taken = gate_.call(*this, static_cast<Mbuf* const*>(burst.mbufs_), burst.size_);
    burst.forget_front(taken);
    return taken;
  }

  /// Gives every buffer that the card is done with back to its pool and returns how many slots that freed. Bursts do so
  /// by themselves, in groups; this is for a queue that has nothing to send.
  std::uint32_t tx_done_cleanup() noexcept { return gate_.call(*this, nullptr, 0U); }

  /// Gives mbufs of `cache`'s pool back to `cache` from now on. Call from the sending thread, or before it sends.
  [[nodiscard]] virtual Result<void> use_cache(const MempoolCache& cache) = 0;
  /// Slots whose buffers have not come back. Exact on the sending thread.
  [[nodiscard]] virtual std::uint32_t in_flight() const noexcept = 0;

 protected:
  TxQueue() noexcept : gate_(&idle) {}
  ~TxQueue() = default;

  static std::uint32_t idle(TxQueue&, Mbuf* const*, std::uint32_t) noexcept { return 0; }

  BurstGate<BurstFunction> gate_;
};

}  // namespace pollux
