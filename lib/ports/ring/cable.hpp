// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

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
  /// The sender's: `ahead` counts frames that were put and not yet shown. Within `room`.
  void put(std::uint32_t ahead, Mbuf* frame) noexcept { slot(tail_.load(std::memory_order_relaxed) + ahead) = frame; }
  void show(std::uint32_t frames) noexcept {
    tail_.store(tail_.load(std::memory_order_relaxed) + frames, std::memory_order_release);
  }

  /// The receiver's: how many frames wait, the one `ahead` places behind the first, and that some have been taken.
  [[nodiscard]] std::uint32_t waiting() const noexcept {
    return tail_.load(std::memory_order_acquire) - head_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] Mbuf* look(std::uint32_t ahead) const noexcept {
    return slots_[(head_.load(std::memory_order_relaxed) + ahead) & (kMaxSlots - 1)];
  }
  void take(std::uint32_t frames) noexcept {
    head_.store(head_.load(std::memory_order_relaxed) + frames, std::memory_order_release);
  }

 private:
  [[nodiscard]] Mbuf*& slot(std::uint32_t position) const noexcept { return slots_[position & (kMaxSlots - 1)]; }

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
