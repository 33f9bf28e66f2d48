// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>

#include "pollux/base/api.hpp"
#include "pollux/base/misuse.hpp"
#include "pollux/mem/burst.hpp"
#include "pollux/mem/mempool.hpp"
#include "pollux/net/burst_gate.hpp"
#include "pollux/net/queue_observer.hpp"

namespace pollux {

/// The state of a receive descriptor.
enum class RxDescriptorStatus : std::uint8_t {
  empty,  ///< waits for a frame
  done,   ///< holds a frame, or a part of one
};

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

  /// A program may sleep instead of polling an empty queue. The order is: poll, arm, then wait. So no wakeup
  /// is lost.
  ///
  ///     pollfd waiting{rx.event_fd(), POLLIN, 0};
  ///     while (running) {
  ///       if (rx.rx_burst(burst) != 0) {
  ///         ...
  ///       } else if (rx.arm()) {
  ///         auto ready = context.clock().wait({&waiting, 1}, until);
  ///         rx.disarm();
  ///       }
  ///     }
  ///
  /// The descriptor to wait for with poll(2) or epoll(7). It becomes readable when a frame arrives at an armed queue,
  /// and when the port is started, stopped or closed, or fails. It has no meaning while the queue is not armed. Several
  /// queues may share one. The port owns it: do not read or close it. It is close-on-exec and does not change until the
  /// port is closed. Any thread may call this.
  /// -1: the queue cannot wake a program and has to be polled, such as those of a card without MSI-X vectors. It is
  /// also the result if the process has no descriptor left.
  [[nodiscard]] virtual int event_fd() const { return -1; }
  /// Asks the queue to make the descriptor readable when a frame arrives. Called by the polling thread. A stopped queue
  /// can be armed, too; the descriptor then becomes readable when the port starts.
  /// False: the queue is not armed. Do not sleep, poll again. Either a frame is waiting already (perhaps for a free
  /// mbuf), or the port was started or stopped since the last call, or the queue cannot wake a program.
  [[nodiscard]] virtual bool arm() noexcept { return false; }
  /// The queue no longer changes the descriptor. Called by the polling thread. Polling an armed queue is allowed, but
  /// the descriptor may then become readable although no frame is left.
  virtual void disarm() noexcept {}

  /// The state of the descriptor that is `offset` after the next one to be polled. So `offset` frames or more are
  /// waiting if those before it are `done`. Reads memory only, but the descriptor's cache line is then read twice: use
  /// it to estimate a backlog, not for each frame. nullopt: the queue has no such descriptor, or the port is not
  /// started. Called by the polling thread while no other thread stops or restarts the queue.
  [[nodiscard]] virtual std::optional<RxDescriptorStatus> descriptor_status(std::uint32_t offset) const noexcept;

  /// Refills the ring from `cache` from now on; its pool must be the queue's. Call it from the polling thread, or
  /// before polling starts. Error: invalid_argument for a cache of another pool.
  [[nodiscard]] virtual Result<void> use_cache(const MempoolCache& cache) = 0;

 protected:
  RxQueue() noexcept : gate_(&idle) {}
  virtual ~RxQueue() = default;

  /// Opens the gate: bursts go to `function` from now on, and observers see the frames of these bursts. If bytes are
  /// counted (PortConfig::count_bytes), those of these bursts are.
  void open_bursts(BurstFunction* function) noexcept;
  /// Where the queue's observers are kept: a member of the driver's class, after all members that bursts read. nullptr:
  /// the queue cannot be observed.
  [[nodiscard]] virtual RxObservers* observers() noexcept { return nullptr; }

  /// Tells the observers that the program may sleep now. A driver's `arm` calls it when it has armed the queue.
  void note_armed() noexcept;

  static std::uint32_t idle(RxQueue&, Mbuf**, std::uint32_t) noexcept { return 0; }

  BurstGate<BurstFunction> gate_;

 private:
  friend struct QueueObservation;

  /// Calls the queue's own burst function and shows its frames to the observers.
  static std::uint32_t burst_observed(RxQueue& queue, Mbuf** mbufs, std::uint32_t limit) noexcept;
  /// Calls the queue's own burst function and adds up the bytes of its frames.
  static std::uint32_t burst_counted(RxQueue& queue, Mbuf** mbufs, std::uint32_t limit) noexcept;
};

}  // namespace pollux
