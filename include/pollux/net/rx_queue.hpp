// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>

#include "pollux/base/api.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"
#include "pollux/base/misuse.hpp"
#include "pollux/mem/burst.hpp"
#include "pollux/mem/mempool.hpp"
#include "pollux/net/burst_gate.hpp"
#include "pollux/net/drops.hpp"
#include "pollux/net/queue_observer.hpp"

namespace pollux {

class QueueEvent;
class RxFilter;

/// The state of a receive descriptor.
enum class RxDescriptorStatus : std::uint8_t {
  empty,  ///< waits for a frame
  done,   ///< holds a frame, or a part of one
};

/// Frames that have arrived at a queue whose card does not count them, dropped ones included. Written by the polling
/// thread, read by any thread.
struct RxArrivals {
  std::uint64_t packets = 0;    ///< frames
  std::uint64_t bytes = 0;      ///< without FCS
  std::uint64_t multicast = 0;  ///< without broadcasts
  std::uint64_t errors = 0;     ///< malformed records in place of frames
};

/// A receive queue of a port. Drivers derive from RxQueueDriver.
/// Ownership: the port's. A reference stays valid until the port is closed; while the port is stopped, bursts are
/// empty.
/// Thread rule: one thread at a time polls a queue. Another thread may start and stop the port meanwhile.
class POLLUX_API alignas(64) RxQueue {
 public:
  /// The driver's function: stores at most `limit` mbufs, which the caller then owns, and returns their number.
  using BurstFunction = std::uint32_t(RxQueue& queue, Mbuf** mbufs, std::uint32_t limit) noexcept;

  RxQueue(const RxQueue&) = delete;
  RxQueue& operator=(const RxQueue&) = delete;

  /// Appends received frames to `burst`, in order: at most `limit`, and at most as many as fit. Returns their number.
  /// Never waits. Even if no frame arrived, it refills the ring and sends posted register writes.
  template <std::uint32_t Capacity>
  std::uint32_t rx_burst(Burst<Capacity>& burst, std::uint32_t limit = Capacity, Site site = Site::here()) noexcept {
    Mbuf** const out = burst.mbufs_ + burst.size_;
    // std::uint32_t{limit} is a copy: choosing between two variables, as std::min does, makes the compiler store both
    // in memory.
    const std::uint32_t most = std::uint32_t{limit} < burst.room() ? std::uint32_t{limit} : burst.room();
    const std::uint32_t count = poll(out, most, site);
    burst.size_ += count;
    return count;
  }
  /// The same for an array with room for `limit` mbufs, of which kMaxBurst are used at most: for bindings to other
  /// languages. The caller owns the mbufs that are stored, from `mbufs[0]` on: each is freed (MbufPtr) or given to
  /// `tx_burst`, once. What else is in the array does not change.
  std::uint32_t rx_burst(Mbuf** mbufs, std::uint32_t limit, Site site = Site::here()) noexcept {
    return poll(mbufs, limit < kMaxBurst ? limit : kMaxBurst, site);
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
  [[nodiscard]] virtual int event_fd() const = 0;
  /// Asks the queue to make the descriptor readable when a frame arrives. Called by the polling thread. A stopped queue
  /// can be armed, too; the descriptor then becomes readable when the port starts.
  /// False: the queue is not armed. Do not sleep, poll again. Either a frame is waiting already (perhaps for a free
  /// mbuf), or the port was started or stopped since the last call, or the queue cannot wake a program.
  [[nodiscard]] virtual bool arm() noexcept = 0;
  /// The queue no longer changes the descriptor. Called by the polling thread. Polling an armed queue is allowed, but
  /// the descriptor may then become readable although no frame is left.
  virtual void disarm() noexcept = 0;

  /// The state of the descriptor that is `offset` after the next one to be polled. So `offset` frames or more are
  /// waiting if those before it are `done`. Reads memory only, but the descriptor's cache line is then read twice: use
  /// it to estimate a backlog, not for each frame. nullopt: the queue has no such descriptor, or the port is not
  /// started. Called by the polling thread while no other thread stops or restarts the queue.
  [[nodiscard]] virtual std::optional<RxDescriptorStatus> descriptor_status(std::uint32_t offset) const noexcept = 0;

  /// Refills the ring from `cache` from now on; its pool must be the queue's. Call it from the polling thread, or
  /// before polling starts. Error: invalid_argument for a cache of another pool.
  [[nodiscard]] virtual Result<void> use_cache(const MempoolCache& cache) = 0;

 private:
  friend struct QueueObservation;
  friend class RxQueueDriver;

  RxQueue(BurstFunction* burst, const RxFilter* filter, std::shared_ptr<QueueEvent> event) noexcept;

  /// Calls the burst function; `limit` is at most kMaxBurst.
  std::uint32_t poll(Mbuf** mbufs, std::uint32_t limit, [[maybe_unused]] Site site) noexcept {
    const std::uint32_t count = gate_.call(*this, mbufs, limit);
#if POLLUX_CHECKED
    for (std::uint32_t i = 0; i < count; ++i) {
      for (Mbuf* segment = mbufs[i]; segment != nullptr; segment = segment->next()) MbufAccess::stamp(*segment, site);
    }
#endif
    return count;
  }

  /// Bursts go to `function` from now on, and observers see the frames of these bursts. If bytes are counted
  /// (Settings::count_bytes), those of these bursts are.
  void open_bursts(BurstFunction* function) noexcept;
  /// Calls the queue's own burst function and shows its frames to the observers.
  static std::uint32_t burst_observed(RxQueue& queue, Mbuf** mbufs, std::uint32_t limit) noexcept;
  /// Calls the queue's own burst function and adds up the bytes of its frames.
  static std::uint32_t burst_counted(RxQueue& queue, Mbuf** mbufs, std::uint32_t limit) noexcept;
  /// Tells the observers that the program may sleep now.
  void note_armed() noexcept;

  // Cold. The members that bursts read come last, so that those of the driver's class follow in the same cache line.
  BurstFunction* burst_;
  const RxFilter* filter_;
  std::shared_ptr<QueueEvent> event_;
  std::shared_ptr<MempoolCore> pool_;
  std::shared_ptr<MempoolCacheCore> cache_owner_;
  RxObservers observers_;
  std::atomic<bool> has_changed_{false};  // the port's state has changed since the last `arm`
  std::uint16_t port_ = Mbuf::kNoPort;
  std::uint32_t room_ = 0;        // frame bytes that fit in an empty mbuf
  std::uint64_t empty_word_ = 0;  // MbufAccess::word of an empty mbuf with this port as its origin
  RxArrivals arrivals_;

 protected:
  virtual ~RxQueue();
  /// The burst of a queue without a driver: no frames.
  static std::uint32_t idle(RxQueue&, Mbuf**, std::uint32_t) noexcept { return 0; }

  /// For the driver's bursts: what was dropped, the gate that `open` opens, frames that bursts returned, and the
  /// queue's cache.
  ///@{
  RxDrops drops_;
  // Hot: half a cache line.
  alignas(64) BurstGate<BurstFunction> gate_;
  std::uint64_t packets_ = 0;
  MempoolCacheCore* cache_ = nullptr;
  ///@}
};

/// Sleeps until `queue` may have frames or `until` has come, after a burst has found none. Returns whether to poll once
/// more. `refusals`: how often in a row the queue was not armed. A part of `rx_burst_wait`.
[[nodiscard]] POLLUX_API Result<bool> sleep_until_frames(Clock& clock, RxQueue& queue, Time until, unsigned& refusals);

/// RxQueue::rx_burst that sleeps while no frame is there, at most for `limit`: polls, arms the queue, and waits on
/// `clock`, which is the Context's. Returns as soon as a burst has frames, with their number; 0 if none came in time.
/// `limit` of zero or less: one burst. A stopped port is waited for, as it may be started again.
/// Thread rule: that of bursts. Errors: not_supported (the queue cannot wake a program, see RxQueue::event_fd),
/// invalid_argument (no room in `burst`), and those of Clock::wait.
template <std::uint32_t Capacity>
[[nodiscard]] Result<std::uint32_t> rx_burst_wait(Clock& clock, RxQueue& queue, Burst<Capacity>& burst,
                                                  Duration limit) {
  if (burst.size() == Capacity)
    return fail(ErrorCode::invalid_argument, "rx_burst_wait: the burst is full", "empty it first");
  const Time until = time_after(clock.now(), limit);
  for (unsigned refusals = 0;;) {
    if (const std::uint32_t count = queue.rx_burst(burst)) return count;
    const auto again = sleep_until_frames(clock, queue, until, refusals);
    if (!again) return tl::unexpected<Error>(again.error());
    if (!*again) return 0U;
  }
}

}  // namespace pollux
