// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "pollux/base/api.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/counter.hpp"
#include "pollux/base/error.hpp"
#include "pollux/mem/mempool.hpp"
#include "pollux/net/drops.hpp"
#include "pollux/net/queue_observer.hpp"
#include "pollux/net/rx_filter.hpp"
#include "pollux/net/rx_queue.hpp"
#include "pollux/net/tx_queue.hpp"

/// @file
/// What a driver's queues derive from; QueuedPort calls them. Programs use RxQueue and TxQueue.

namespace pollux {

/// A receive queue as a driver has it: the driver derives from it and supplies the burst function. It adds no member to
/// RxQueue's, so those of the driver's class follow the ones that bursts read.
/// Thread rule: the functions below belong to the polling thread; those of the control path say so.
class POLLUX_API RxQueueDriver : public RxQueue {
 public:
  /// See RxQueue: the event of the constructor or of `allow_sleeping`, by `watch` and `unwatch`.
  ///@{
  [[nodiscard]] int event_fd() const override;
  [[nodiscard]] bool arm() noexcept override;
  void disarm() noexcept override;
  ///@}
  /// See RxQueue. Here no descriptor is known.
  [[nodiscard]] std::optional<RxDescriptorStatus> descriptor_status(std::uint32_t offset) const noexcept override;
  /// See RxQueue.
  [[nodiscard]] Result<void> use_cache(const MempoolCache& cache) override;

 protected:
  /// `burst`: called by rx_burst while the queue is open. It returns the frames, and calls `count_returned` at its end.
  /// `filter`: for `admit`; it outlives the queue. `event`: wakes a sleeping thread; null: none can sleep on the queue.
  explicit RxQueueDriver(BurstFunction* burst = &idle, const RxFilter* filter = nullptr,
                         std::shared_ptr<QueueEvent> event = nullptr) noexcept;
  ~RxQueueDriver() override = default;

  /// A thread may sleep on this queue. `source`: a descriptor that wakes it while it is readable, besides `wake`; -1:
  /// none. It must stay open as long as the queue is used. Call it before the queue is used.
  void allow_sleeping(int source = -1);
  /// Replaces the event of the constructor. Call it before the queue is used.
  void use_event(std::shared_ptr<QueueEvent> event) noexcept { event_ = std::move(event); }
  /// Wakes a thread that sleeps on this queue. Any thread may call it.
  void wake() noexcept;
  /// Returns true if no frame waits; the queue's event is then raised when one arrives. False: poll again. Called by
  /// the polling thread inside the gate, as a burst is.
  [[nodiscard]] virtual bool watch() noexcept { return false; }
  /// Ends what `watch` began. Called by the polling thread, also while the queue is closed.
  virtual void unwatch() noexcept {}
  /// Whether a thread may sleep although the queue is closed.
  [[nodiscard]] virtual bool watch_closed() noexcept { return true; }

  /// Control path, with the gate closed: the queue's pool, a cache of it, and Mbuf::port() of its frames.
  void set_up(std::shared_ptr<MempoolCore> pool, std::shared_ptr<MempoolCacheCore> cache, std::uint16_t port) noexcept;
  /// Releases pool and cache. Control path, with the gate closed.
  virtual void retire() noexcept;
  /// Opens the gate. Control path, as `close`.
  virtual void open() noexcept;
  /// Later bursts are empty. Error timeout: see BurstGate::close.
  [[nodiscard]] virtual Result<void> close(Clock& clock, Duration limit);
  /// Wakes a sleeping thread, because the port's state has changed. Called by the control thread.
  void notify_change() noexcept;
  /// See RxQueue.
  using RxQueue::open_bursts;

  /// An empty mbuf with this port as its origin. nullptr if the pool is exhausted, which is counted there.
  [[nodiscard]] Mbuf* allocate() noexcept;
  /// A copy of these bytes. Fails as `allocate` does, with an empty pointer.
  [[nodiscard]] MbufPtr copy(std::span<const std::uint8_t> bytes) noexcept;
  /// A copy of a frame with its offload request, timestamp and application field. Fails in the same way.
  [[nodiscard]] MbufPtr copy(const Mbuf& frame) noexcept;
  /// Frees a frame, to the cache of the queue if it can.
  void give_back(Mbuf& frame) noexcept;

  /// Filters and counts a frame of `bytes` bytes; its first six bytes are at `destination`. Returns false if the frame
  /// was counted as dropped; the caller then frees it.
  [[nodiscard]] bool admit(const std::uint8_t* destination, std::uint32_t bytes) noexcept {
    if (const RxDrop why = filter_->drop_reason(destination, bytes)) {
      drop(why, destination, bytes);
      return false;
    }
    count_arrival(destination, bytes);
    return true;
  }
  /// Counts a frame as arrived. For frames that `admit` does not see.
  void count_arrival(const std::uint8_t* destination, std::uint32_t bytes) noexcept {
    count_arrivals(1, bytes);
    if (RxFilter::is_multicast(destination)) count_multicast();
  }
  /// Counts a frame that has been counted, or will be, as a multicast, too.
  void count_multicast() noexcept { add_to(arrivals_.multicast, 1); }
  /// Frames that are no multicasts, `bytes` in total.
  void count_arrivals(std::uint64_t frames, std::uint64_t bytes) noexcept {
    add_to(arrivals_.packets, frames);
    add_to(arrivals_.bytes, bytes);
  }
  /// Counts a malformed record in place of a frame (RxArrivals::errors).
  void count_error() noexcept { add_to(arrivals_.errors, 1); }
  /// Counts a frame as dropped; `drop` counts its arrival, too.
  void count_drop(RxDrop why) noexcept { add_to(drops_.*why, 1); }
  /// Counts a frame that has arrived as dropped. Call it with the gate closed or on the polling thread.
  void drop(RxDrop why, const std::uint8_t* destination, std::uint32_t bytes) noexcept;
  /// Frames that a burst returns.
  void count_returned(std::uint64_t frames) noexcept { add_to(packets_, frames); }

  /// Any thread may call the next four. Frames that bursts returned:
  [[nodiscard]] std::uint64_t packets() const noexcept { return read_counter(packets_); }
  /// Bytes of bursts that were counted (Settings::count_bytes).
  [[nodiscard]] std::uint64_t bytes() const noexcept { return observers_.bytes(); }
  /// What has been counted since the port was opened.
  ///@{
  [[nodiscard]] RxDrops drops() const noexcept;
  [[nodiscard]] RxArrivals arrivals() const noexcept;
  ///@}

  /// As given to the constructor, `set_up` and `use_event`.
  ///@{
  [[nodiscard]] const RxFilter& filter() const noexcept { return *filter_; }
  [[nodiscard]] const std::shared_ptr<MempoolCore>& pool() const noexcept { return pool_; }
  /// Mbuf::port() of received frames.
  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
  [[nodiscard]] RxObservers& observers() noexcept { return observers_; }
  [[nodiscard]] const RxObservers& observers() const noexcept { return observers_; }
  [[nodiscard]] const std::shared_ptr<MempoolCacheCore>& cache() const noexcept { return cache_owner_; }
  [[nodiscard]] const std::shared_ptr<QueueEvent>& event() const noexcept { return event_; }
  ///@}

 private:
  friend class QueuedPort;

  /// A chain of empty mbufs for `bytes`. Fails as `allocate` does, with an empty pointer.
  [[nodiscard]] MbufPtr allocate_chain(std::uint32_t bytes) noexcept;
};

/// A transmit queue as a driver has it: the driver derives from it and supplies the burst function. It adds no member
/// to TxQueue's.
/// Thread rule: the functions below belong to the sending thread; those of the control path say so.
class POLLUX_API TxQueueDriver : public TxQueue {
 public:
  /// See TxQueue.
  [[nodiscard]] Result<void> use_cache(const MempoolCache& cache) override;
  /// See TxQueue. Here no descriptor is known.
  [[nodiscard]] std::optional<TxDescriptorStatus> descriptor_status(std::uint32_t offset) const noexcept override;
  /// See TxQueue. Here none is.
  [[nodiscard]] std::uint32_t in_flight() const noexcept override { return 0; }

 protected:
  /// `burst`: called by tx_burst while the queue is open. It takes frames, and calls `count_taken` at its end.
  explicit TxQueueDriver(BurstFunction* burst = &idle) noexcept;
  ~TxQueueDriver() override = default;

  /// Control path, with the gate closed. `cache`: for sent mbufs; null: each returns to its pool's shared list.
  /// `context`: the one to which mbufs must belong.
  void set_up(const TxQueueLimits& limits, std::shared_ptr<MempoolCacheCore> cache,
              std::shared_ptr<const ContextState> context) noexcept;
  /// Releases the cache. Control path, with the gate closed.
  virtual void retire() noexcept;
  /// Opens the gate. Control path, as `close`.
  virtual void open() noexcept;
  /// Later bursts take nothing. Error timeout: see BurstGate::close.
  [[nodiscard]] virtual Result<void> close(Clock& clock, Duration limit);
  /// See TxQueue.
  using TxQueue::open_bursts;
  /// `cache` and `shortest` have changed. Called on the thread of `set_up`, `retire` or `use_cache`.
  virtual void cache_changed() noexcept {}

  /// Returns true if `frame` cannot be sent: it does not keep the limits of `set_up`. It has then been counted and
  /// freed. For software that sends each frame before its burst ends.
  [[nodiscard]] bool reject(Mbuf* frame) noexcept {
    // One comparison covers length, pool and `special`: direct, single-segment mbufs of the cache's pool need no other.
    if (POLLUX_CHECKED == 0 && static_cast<std::uint32_t>(MbufAccess::word(*frame)) - shortest_ <= max_excess_)
        [[likely]]
      return false;
    return reject_slow(frame);
  }
  /// Counts a frame as dropped and frees it.
  void drop(Mbuf& frame, TxDrop why) noexcept;
  /// Frees a frame.
  void give_back(Mbuf& frame) noexcept;
  /// Counts frames as sent, with `bytes` in total. Does not free them.
  void count_sent(std::uint64_t bytes, std::uint64_t frames = 1) noexcept {
    add_to(sent_.packets, frames);
    add_to(sent_.bytes, bytes);
  }
  /// Counts frames as dropped that have already been freed.
  void count_drops(TxDrop why, std::uint64_t frames) noexcept { add_to(drops_.*why, frames); }
  /// For a queue that counts frames with `count_sent` when it gives them to the device, which may not send them:
  /// `sent` then has no frame that may come back. `has_unsent` says whether some of `counted`, a value of the count
  /// that was read before, may come back: the device has frames that it has not sent, or a burst is being counted. Any
  /// thread may call it.
  ///@{
  [[nodiscard]] virtual bool has_unsent(const TxSent& /*counted*/) const noexcept { return false; }
  /// Changes the count of a frame from sent to dropped.
  void count_unsent(std::uint32_t bytes, TxDrop why) noexcept;
  /// The device has sent what lies in front of `position` of the ring; the next frame is put at `next`. Called by the
  /// sending thread now and then: the count of a busy queue is about a ring behind.
  void note_sent(std::uint32_t position, std::uint32_t next) noexcept {
    if (static_cast<std::int32_t>(position - mark_) >= 0) [[unlikely]]
      move_mark(next);
  }
  /// No frame is in the ring, whose next one is put at `next`. Control path, with the gate closed.
  void forget_mark(std::uint32_t next) noexcept;
  /// Whether no burst is between `count_sent` and `count_taken` while the count is `counted`.
  [[nodiscard]] bool is_between_bursts(const TxSent& counted) const noexcept {
    return packets() == counted.packets + drops().sum();
  }
  ///@}
  /// Frames that a burst takes, dropped ones included.
  void count_taken(std::uint64_t frames) noexcept { add_to(packets_, frames); }

  /// Any thread may call the next three. Frames that bursts took, dropped ones included:
  [[nodiscard]] std::uint64_t packets() const noexcept { return read_counter(packets_); }
  /// Bytes of bursts that were counted (Settings::count_bytes).
  [[nodiscard]] std::uint64_t bytes() const noexcept { return observers_.bytes(); }
  /// What has been counted since the port was opened.
  [[nodiscard]] TxDrops drops() const noexcept;
  /// Frames that were sent since the port was opened. Never decreases. Control path.
  [[nodiscard]] TxSent sent() noexcept;

  /// nullptr: buffers return to the shared list of their pool.
  [[nodiscard]] MempoolCacheCore* cache() const noexcept { return cache_owner_.get(); }
  /// The Context of the mbufs that it takes.
  [[nodiscard]] const ContextState* context() const noexcept { return context_.get(); }
  /// The lower half of MbufAccess::word of the shortest direct, single-segment mbuf of the cache's pool. Subtracted
  /// from that of another one, it leaves the excess length; it leaves more than any length for all other mbufs.
  [[nodiscard]] std::uint32_t shortest() const noexcept { return shortest_; }
  /// As given to `set_up`, and the observers of its bursts.
  ///@{
  [[nodiscard]] const TxQueueLimits& limits() const noexcept { return limits_; }
  [[nodiscard]] TxObservers& observers() noexcept { return observers_; }
  [[nodiscard]] const TxObservers& observers() const noexcept { return observers_; }
  ///@}

 private:
  friend class QueuedPort;

  [[nodiscard]] TxDrop drop_reason(Mbuf& frame) const noexcept;
  [[nodiscard]] bool reject_slow(Mbuf* frame) noexcept;
  void set_cache(std::shared_ptr<MempoolCacheCore> cache) noexcept;
  void move_mark(std::uint32_t next) noexcept;
};

}  // namespace pollux
