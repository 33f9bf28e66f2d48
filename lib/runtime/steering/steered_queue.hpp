// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <span>

#include "base/file_descriptor.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/mem/drop_counter.hpp"
#include "pollux/mem/spsc_ring.hpp"
#include "pollux/net/rx_queue.hpp"

namespace pollux {

/// The queue of one consumer: a ring that the steering thread fills. Positions count frames since the start.
class SteeredQueue final : public RxQueue {
 public:
  /// Frames that are collected before they are put into the ring together.
  static constexpr std::uint32_t kStage = 64;

  /// `event`: an eventfd that does not block.
  SteeredQueue(std::uint16_t index, std::uint32_t ring, FileDescriptor event, Clock& clock);
  /// Drops what is left, unnamed.
  ~SteeredQueue() override;

  // For the steering thread.
  /// Adds a frame behind the others. False: there is no room.
  [[nodiscard]] bool stage(Mbuf* frame) noexcept {
    if (staged_ == room_ && !has_room()) return false;
    stage_[staged_++] = frame;
    return true;
  }
  /// Shows the consumer what was staged.
  void flush() noexcept;
  /// The position after the last frame.
  [[nodiscard]] std::uint64_t tail() const noexcept { return put_ + staged_; }
  /// Whether all frames before this position have been handled.
  [[nodiscard]] bool has_handled(std::uint64_t position) const noexcept {
    return handled_.load(std::memory_order_acquire) >= position;
  }
  /// The caller frees `frames` next.
  void count_dropped(std::span<Mbuf* const> frames) noexcept { ring_full_.add(frames); }

  // For the consumer.
  [[nodiscard]] int event_fd() const override { return event_.get(); }
  [[nodiscard]] bool arm() noexcept override;
  void disarm() noexcept override;
  [[nodiscard]] Result<void> use_cache(const MempoolCache&) override { return {}; }

  // For any thread.
  [[nodiscard]] std::uint64_t frames() const noexcept { return frames_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t ring_full() const noexcept { return ring_full_.value(); }

 private:
  static std::uint32_t burst(RxQueue& queue, Mbuf** mbufs, std::uint32_t limit) noexcept;
  [[nodiscard]] bool has_room() noexcept;
  void note_handled() noexcept;

  SpscRing<Mbuf*> ring_;
  FileDescriptor event_;
  Clock& clock_;
  std::atomic<bool> is_armed_{false};
  // Of the steering thread.
  alignas(64) std::uint64_t put_ = 0;
  std::uint32_t staged_ = 0;
  std::uint32_t room_ = 0;  // frames that may be staged, as far as is known
  std::atomic<std::uint64_t> frames_{0};
  DropCounter ring_full_;
  std::array<Mbuf*, kStage> stage_{};
  // Of the consumer.
  alignas(64) std::atomic<std::uint64_t> handled_{0};
  std::uint64_t taken_ = 0;
};

}  // namespace pollux
