// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>

#include "pollux/mem/mbuf.hpp"
#include "pollux/mem/spsc_ring.hpp"

namespace pollux::ring {

inline constexpr std::uint16_t kQueues = 8;
inline constexpr std::uint32_t kMaxSlots = 4096;

/// Mbufs on their way from one transmit queue to one receive queue: a ring for one thread that puts and one that takes.
/// It has memory from the first start of its receiver on, and takes frames only while that is started.
class FrameRing {
 public:
  /// By the receiver's control thread, with its queue closed. `slots`: how many frames may wait, at most kMaxSlots.
  void open(std::uint32_t slots);
  void close() noexcept { limit_.store(0, std::memory_order_relaxed); }

  /// How many frames the sender may put now; nothing is received on this ring if `is_open` is false.
  struct Room {
    bool is_open = false;
    std::uint32_t frames = 0;
  };
  /// The sender's, who has `wanted` frames: at least so much room, or all that there is.
  [[nodiscard]] Room room(std::uint32_t wanted) noexcept {
    const std::uint32_t limit = limit_.load(std::memory_order_acquire);
    if (limit == 0) return {};
    // The ring always has kMaxSlots slots; those beyond the limit stay free.
    const std::uint32_t reserved = kMaxSlots - limit;
    const std::uint32_t free = ring_->room(wanted + reserved);
    return {.is_open = true, .frames = free > reserved ? free - reserved : 0};
  }
  /// The sender's, within `room`: the receiver sees all of them at once.
  void put(std::span<Mbuf* const> frames) noexcept { ring_->put(frames); }

  /// The receiver's, which polls only once it has opened the ring: copies the first frames that wait and leaves them
  /// there; returns how many.
  [[nodiscard]] std::uint32_t look(std::span<Mbuf*> frames) noexcept { return ring_->peek(frames); }
  /// The receiver's: takes that many away.
  void take(std::uint32_t frames) noexcept { ring_->discard(frames); }
  /// Takes each frame that waits now, and hands it to `end`, after which it goes back to its pool's shared list: for
  /// the control thread, with both queues closed, since a cache belongs to its polling thread.
  template <class End>
  void empty(End&& end) noexcept {
    if (!ring_) return;
    Mbuf* frame = nullptr;
    for (std::uint32_t left = ring_->size(); left != 0 && ring_->dequeue({&frame, 1}) != 0; --left) {
      end(*frame);
      MbufDeleter{}(frame);
    }
  }

 private:
  std::optional<SpscRing<Mbuf*>> ring_;  // made before limit_ says so, and kept until the ring goes away
  alignas(64) std::atomic<std::uint32_t> limit_{0};
};

/// Joins two ends, or one with itself. Thread rule: the rings have their own; `opened` is the Context's registry's; all
/// else goes with `control` held.
struct RingPair {
  explicit RingPair(bool loop) : is_loop(loop) {}

  const bool is_loop;
  std::array<bool, 2> opened{};  ///< guarded by the registry that made the pair
  std::mutex control;
  std::array<std::atomic<bool>, 2> started{};
  /// By the end that receives, then by queue.
  std::array<std::array<FrameRing, kQueues>, 2> rings;

  [[nodiscard]] unsigned other(unsigned end) const noexcept { return is_loop ? end : end ^ 1U; }
};

}  // namespace pollux::ring
