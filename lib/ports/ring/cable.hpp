// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>

#include "pollux/base/ring_index.hpp"
#include "pollux/mem/mbuf.hpp"

namespace pollux::ring {

inline constexpr std::uint16_t kQueues = 8;
inline constexpr std::uint32_t kMaxSlots = 4096;

/// Mbufs on their way from one transmit queue to one receive queue: a ring without locks for one thread that puts and
/// one that takes. It has memory from the first start of its receiver on, and takes frames only while that is started.
class Lane {
 public:
  /// By the receiver's control thread, with its queue closed. `slots`: how many frames may wait, at most kMaxSlots.
  void open(std::uint32_t slots);
  void close() noexcept { limit_.store(0, std::memory_order_relaxed); }

  /// How many frames the sender may put now; nothing is received on this lane if `is_open` is false.
  struct Room {
    bool is_open;
    std::uint32_t frames;
  };
  [[nodiscard]] Room room() const noexcept {
    const std::uint32_t limit = limit_.load(std::memory_order_acquire);
    const std::uint32_t waiting = tail_.load(std::memory_order_relaxed) - head_.load(std::memory_order_acquire);
    return {.is_open = limit != 0, .frames = waiting < limit ? limit - waiting : 0};
  }
  /// The sender's, within `room`: the receiver sees all of them at once.
  void put(std::span<Mbuf* const> frames) noexcept {
    const std::uint32_t tail = tail_.load(std::memory_order_relaxed);
    const auto [first, second] = pieces(tail, frames.size());
    std::copy_n(frames.data(), first.size(), first.data());
    std::copy_n(frames.data() + first.size(), second.size(), second.data());
    tail_.store(tail + static_cast<std::uint32_t>(frames.size()), std::memory_order_release);
  }

  /// The receiver's: how many frames wait, which ones are the first of them, and that some have been taken.
  [[nodiscard]] std::uint32_t waiting() const noexcept {
    return tail_.load(std::memory_order_acquire) - head_.load(std::memory_order_relaxed);
  }
  void look(std::span<Mbuf*> frames) const noexcept {
    const auto [first, second] = pieces(head_.load(std::memory_order_relaxed), frames.size());
    std::copy_n(first.data(), first.size(), frames.data());
    std::copy_n(second.data(), second.size(), frames.data() + first.size());
  }
  void take(std::uint32_t frames) noexcept {
    head_.store(head_.load(std::memory_order_relaxed) + frames, std::memory_order_release);
  }
  /// Takes each frame that waits now, and hands it to `end`, after which it goes back to its pool's shared list: for
  /// the control thread, with both queues closed, since a cache belongs to its polling thread.
  template <class End>
  void empty(End&& end) noexcept {
    for (std::uint32_t left = waiting(); left != 0; --left) {
      Mbuf* frame = nullptr;
      look({&frame, 1});
      end(*frame);
      MbufDeleter{}(frame);
      take(1);
    }
  }

 private:
  /// The slots from a position on: up to the last one, then from the first one on.
  struct Pieces {
    std::span<Mbuf*> first;
    std::span<Mbuf*> second;
  };
  [[nodiscard]] Pieces pieces(std::uint32_t position, std::size_t count) const noexcept {
    const std::uint32_t at = position & (kMaxSlots - 1);
    const std::size_t first = std::min<std::size_t>(count, kMaxSlots - at);
    return {.first = {&slots_[at], first}, .second = {&slots_[0], count - first}};
  }

  alignas(64) std::atomic<std::uint32_t> tail_{0};  // the sender's
  alignas(64) std::atomic<std::uint32_t> head_{0};  // the receiver's
  alignas(64) std::atomic<std::uint32_t> limit_{0};
  std::unique_ptr<Mbuf*[]> slots_;  // made before limit_ says so, and never changed
};

/// Joins two ends, or one with itself. Thread rule: the lanes have their own; `opened` is the Context's registry's; all
/// else goes with `control` held.
struct Cable {
  explicit Cable(bool loop) : is_loop(loop) {}

  const bool is_loop;
  std::array<bool, 2> opened{};  ///< guarded by the registry that made the cable
  std::mutex control;
  std::array<std::atomic<bool>, 2> started{};
  /// By the end that receives, then by queue.
  std::array<std::array<Lane, kQueues>, 2> lanes;

  [[nodiscard]] unsigned other(unsigned end) const noexcept { return is_loop ? end : end ^ 1U; }
};

}  // namespace pollux::ring
