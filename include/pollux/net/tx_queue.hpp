// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>

#include "pollux/base/api.hpp"
#include "pollux/mem/burst.hpp"
#include "pollux/mem/mempool.hpp"
#include "pollux/net/burst_gate.hpp"
#include "pollux/net/queue_observer.hpp"

namespace pollux {

/// The state of a transmit descriptor.
enum class TxDescriptorStatus : std::uint8_t {
  free,     ///< can be written
  pending,  ///< the card has not reported it sent
  sent,     ///< sent, but its buffer has not been freed yet
};

/// A transmit queue of a port. The driver derives from it and supplies the burst function.
/// Ownership: the port's. A reference stays valid until the port is closed; while the port is stopped, bursts take
/// nothing.
/// Thread rule: one thread at a time sends on a queue. Another thread may start and stop the port meanwhile.
class POLLUX_API TxQueue {
 public:
  using BurstFunction = std::uint32_t(TxQueue& queue, Mbuf* const* mbufs, std::uint32_t count) noexcept;

  TxQueue(const TxQueue&) = delete;
  TxQueue& operator=(const TxQueue&) = delete;

  /// Takes frames from the front of `burst`, in order, until the ring is full; the rest stays in the burst. Returns the
  /// number taken. Frames that cannot be sent (too long, too short, too many segments, memory that the card cannot
  /// access) are taken, too: they are freed and counted in Stats::drops. An empty burst only frees what was sent, as
  /// `tx_done_cleanup` does. Mbufs of another Context are a misuse: checked builds report them; other builds may
  /// confuse them with their own, since pool ids are unique within a Context only.
  template <std::uint32_t Capacity>
  std::uint32_t tx_burst(Burst<Capacity>& burst) noexcept {
    const std::uint32_t taken = gate_.call(*this, static_cast<Mbuf* const*>(burst.mbufs_), burst.size_);
    burst.forget_front(taken);
    return taken;
  }

  /// Frees every buffer that the card has sent and returns the number of freed slots. Bursts do this by themselves, in
  /// groups; call it for a queue that has nothing to send.
  std::uint32_t tx_done_cleanup() noexcept { return gate_.call(*this, nullptr, 0U); }

  /// Frees sent mbufs of `cache`'s pool to `cache` from now on. Call it from the sending thread, or before sending
  /// starts.
  [[nodiscard]] virtual Result<void> use_cache(const MempoolCache& cache) = 0;
  /// The state of the descriptor that is `offset` after the next one to be written. The oldest in flight is at ring
  /// size less `in_flight`. nullopt: the queue has no such descriptor. Called by the sending thread while no other
  /// thread stops or restarts the queue.
  [[nodiscard]] virtual std::optional<TxDescriptorStatus> descriptor_status(std::uint32_t offset) const noexcept;
  /// Slots whose buffers are not freed yet. Exact on the sending thread.
  [[nodiscard]] virtual std::uint32_t in_flight() const noexcept = 0;

 protected:
  TxQueue() noexcept : gate_(&idle) {}
  virtual ~TxQueue() = default;

  /// Opens the gate: bursts go to `function` from now on, and observers see the frames of these bursts. If bytes are
  /// counted (PortConfig::count_bytes), those of these bursts are.
  void open_bursts(BurstFunction* function) noexcept;
  /// Where the queue's observers are kept: a member of the driver's class, after all members that bursts read. nullptr:
  /// the queue cannot be observed.
  [[nodiscard]] virtual TxObservers* observers() noexcept { return nullptr; }

  static std::uint32_t idle(TxQueue&, Mbuf* const*, std::uint32_t) noexcept { return 0; }

  BurstGate<BurstFunction> gate_;

 private:
  friend struct QueueObservation;

  /// Calls the queue's own burst function and shows its frames to the observers.
  static std::uint32_t burst_observed(TxQueue& queue, Mbuf* const* mbufs, std::uint32_t count) noexcept;
  /// Calls the queue's own burst function and adds up the bytes of its frames.
  static std::uint32_t burst_counted(TxQueue& queue, Mbuf* const* mbufs, std::uint32_t count) noexcept;
};

}  // namespace pollux
