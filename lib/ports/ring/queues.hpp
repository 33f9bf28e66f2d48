// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>

#include "net/queue_event.hpp"
#include "pollux/mem/mbuf.hpp"
#include "pollux/mem/spsc_ring.hpp"
#include "pollux/net/queue_driver.hpp"

namespace pollux::ring {

inline constexpr std::uint16_t kQueues = 8;
inline constexpr std::uint32_t kMaxSlots = 4096;

/// A single-producer single-consumer ring of mbufs from one transmit queue to one receive queue. Its memory is
/// allocated when the receiver first starts. It accepts frames only while the receiver is started.
class FrameRing {
 public:
  /// Called on the receiver's control thread with its queue closed, `allocate` before `open`. `slots` is the maximum
  /// number of waiting frames, at most kMaxSlots.
  ///@{
  void allocate();
  void open(std::uint32_t slots) noexcept { limit_.store(slots, std::memory_order_release); }
  ///@}
  void close() noexcept { limit_.store(0, std::memory_order_relaxed); }

  /// The number of frames that the sender may enqueue now. If `is_open` is false, the ring has no receiver.
  struct Room {
    bool is_open = false;
    std::uint32_t frames = 0;
  };
  /// Called by the sender. Returns at least `wanted` if there is that much room, else the exact room.
  [[nodiscard]] Room room(std::uint32_t wanted) noexcept {
    const std::uint32_t limit = limit_.load(std::memory_order_acquire);
    if (limit == 0) return {};
    // The ring always has kMaxSlots slots. The slots above the limit stay unused.
    const std::uint32_t reserved = kMaxSlots - limit;
    const std::uint32_t free = ring_->room(wanted + reserved);
    return {.is_open = true, .frames = free > reserved ? free - reserved : 0};
  }
  /// Called by the sender with at most `room` frames. The receiver sees all of them at once.
  void put(std::span<Mbuf* const> frames) noexcept { ring_->put(frames); }

  /// Called by the receiver, after it opened the ring. Copies the pointers of the first waiting frames without removing
  /// them, and returns their number.
  [[nodiscard]] std::uint32_t peek(std::span<Mbuf*> frames) noexcept { return ring_->peek(frames); }
  /// Called by the receiver. Removes the first `frames` frames.
  void discard(std::uint32_t frames) noexcept { ring_->discard(frames); }
  /// Called by the receiver. Asks the sender to wake it. The receiver then calls barrier_on_all_threads and looks at
  /// the ring.
  void arm() noexcept { is_armed_.store(true, std::memory_order_relaxed); }
  void disarm() noexcept { is_armed_.store(false, std::memory_order_relaxed); }
  /// Whether no frame waits. Called after the ring was opened, from any thread.
  [[nodiscard]] bool is_empty() const noexcept { return ring_->empty(); }
  /// Called by the sender after the last `put` of a burst. Wakes a receiver that has asked for it. Otherwise it costs
  /// one load and one branch.
  void wake_if_armed() noexcept {
    // Only the compiler must keep the order: the receiver's barrier makes this processor drain its stores.
    std::atomic_signal_fence(std::memory_order_seq_cst);
    if (is_armed_.load(std::memory_order_relaxed)) [[unlikely]]
      wake();
  }
  /// The event on which the receiver sleeps. It exists as long as the ring, because a sender may raise it after the
  /// receiver's port was closed.
  [[nodiscard]] const std::shared_ptr<QueueEvent>& wake_event() const noexcept { return wake_event_; }

  /// Removes each waiting frame, calls `on_frame` with it and frees it to its pool's shared list. Called on the control
  /// thread with both queues closed. It uses no cache, because a cache belongs to its polling thread.
  template <class OnFrame>
  void drain(OnFrame&& on_frame) noexcept {
    if (!ring_) return;
    Mbuf* frame = nullptr;
    for (std::uint32_t left = ring_->size(); left != 0 && ring_->dequeue({&frame, 1}) != 0; --left) {
      on_frame(*frame);
      MbufDeleter{}(frame);
    }
  }

 private:
  void wake() noexcept;

  std::optional<SpscRing<Mbuf*>> ring_;  // exists whenever limit_ is not 0
  const std::shared_ptr<QueueEvent> wake_event_ = std::make_shared<QueueEvent>();
  // What the sender reads in each burst. This line is seldom written.
  alignas(64) std::atomic<std::uint32_t> limit_{0};
  std::atomic<bool> is_armed_{false};
};

class RingRxQueue;

/// The rings that connect two ends, or one end with itself. Thread rule: FrameRing has its own. The registry that made
/// the pair guards `opened`. `control` guards everything else.
struct RingPair {
  explicit RingPair(bool loop) : is_loop(loop) {}

  const bool is_loop;
  std::array<bool, 2> opened{};  ///< guarded by the registry that made the pair
  std::mutex control;
  std::array<std::atomic<bool>, 2> started{};
  std::array<std::array<RingRxQueue*, kQueues>, 2> receivers{};  ///< of open ports, as `rings`; else nullptr
  /// Indexed by the receiving end, then by queue.
  std::array<std::array<FrameRing, kQueues>, 2> rings;

  [[nodiscard]] unsigned other(unsigned end) const noexcept { return is_loop ? end : end ^ 1U; }
};

/// Receives frames from a ring. It returns the sender's mbufs. A frame with shared bytes is copied, because the
/// receiver may write to a frame. If the pool is exhausted, such a frame waits in the ring.
class RingRxQueue final : public RxQueueDriver {
 public:
  /// `clock`: see barrier_on_all_threads.
  RingRxQueue(const RxFilter& filter, FrameRing& ring, Clock& clock)
      : RxQueueDriver(&burst, &filter, ring.wake_event()), ring_(ring), clock_(clock) {}

  /// Drops all waiting frames. Call it with the queue closed.
  void drain() noexcept;

 private:
  static std::uint32_t burst(RxQueue& base, Mbuf** out, std::uint32_t limit) noexcept;
  [[nodiscard]] bool watch() noexcept override;
  void unwatch() noexcept override { ring_.disarm(); }
  [[nodiscard]] Mbuf* receive(Mbuf& frame) noexcept;
  /// Frames that were received as they are, and the sum of their lengths.
  struct CommonRun {
    std::uint32_t frames = 0;
    std::uint64_t bytes = 0;
  };
  [[nodiscard]] CommonRun receive_common(std::span<Mbuf* const> frames) const noexcept;
  [[nodiscard]] Mbuf* receive_slow(Mbuf& frame, bool& is_done) noexcept;

  FrameRing& ring_;
  Clock& clock_;
};

/// Sends frames to a ring. A frame counts as sent when it is in the ring.
class RingTxQueue final : public TxQueueDriver {
 public:
  explicit RingTxQueue(FrameRing& ring) noexcept : TxQueueDriver(&burst), ring_(ring) {}

 private:
  static std::uint32_t burst(TxQueue& base, Mbuf* const* mbufs, std::uint32_t count) noexcept;
  /// Frames that can be sent as they are, and the sum of their lengths.
  struct PlainRun {
    std::uint32_t frames = 0;
    std::uint64_t bytes = 0;
  };
  [[nodiscard]] PlainRun plain_run(Mbuf* const* frames, std::uint32_t most) const noexcept;
  [[nodiscard]] bool send_slow(Mbuf* frame, bool is_open) noexcept;

  FrameRing& ring_;
};

}  // namespace pollux::ring
