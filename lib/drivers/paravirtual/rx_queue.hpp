// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>

#include "mem/mempool_core.hpp"
#include "net/built_frame.hpp"
#include "net/queue_event.hpp"
#include "pollux/net/drops.hpp"
#include "pollux/net/queue_driver.hpp"

namespace pollux::drivers::paravirtual {

/// Where received buffers were allocated, as a trace of mbufs names it.
inline constexpr Site kReceiveRing{"a receive ring", 0};
inline constexpr std::uint32_t kMaxRxSegments = 255;

/// What the slow path has done with the next frame.
enum class RxOutcome : std::uint8_t { nothing, dropped, frame };

/// A receive queue of a paravirtual device, from which a driver's derives. A device that returns what it does not have
/// ends the queue: bursts are empty, and `fault` says what happened.
struct ParavirtualRxQueue : RxQueueDriver {
  using RxQueueDriver::arrivals;
  using RxQueueDriver::cache_;
  using RxQueueDriver::count_arrival;
  using RxQueueDriver::count_arrivals;
  using RxQueueDriver::count_drop;
  using RxQueueDriver::count_multicast;
  using RxQueueDriver::count_returned;
  using RxQueueDriver::drops;
  using RxQueueDriver::filter;
  using RxQueueDriver::notify_change;
  using RxQueueDriver::pool;
  using RxQueueDriver::RxQueueDriver;

  /// Ends the queue. Always false.
  bool end(const char* why) noexcept {
    fault_.store(why, std::memory_order_release);
    return false;
  }
  /// Why the queue has ended; nullptr if it has not. Any thread may call it.
  [[nodiscard]] const char* fault() const noexcept { return fault_.load(std::memory_order_acquire); }

  /// Counts a frame that has arrived. Frees it if it has a reason to be dropped.
  RxOutcome finish(const BuiltFrame& frame, Mbuf*& out) noexcept {
    static constexpr std::array<std::uint8_t, 6> kNoDestination{};
    const bool readable = frame.head != nullptr && frame.head->length() >= kNoDestination.size();
    count_arrival(readable ? frame.head->data() : kNoDestination.data(), frame.bytes);
    if (frame.why == nullptr) {
      out = frame.head;
      return RxOutcome::frame;
    }
    count_drop(frame.why);
    if (frame.head != nullptr) cache_->free(*frame.head);
    return RxOutcome::dropped;
  }

  // Control path, with the gate closed.

  /// Takes `count` buffers, of `given` as far as it has some, and empties the rings. On error no_memory (the pool has
  /// too few mbufs) it takes no mbuf.
  [[nodiscard]] virtual Result<void> fill(std::uint32_t count, std::span<Mbuf* const> given) = 0;
  /// Frees every buffer and returns their number. Counts received frames that were not polled. Call it only after the
  /// device has ended DMA. The first buffers go to `kept` instead.
  virtual std::uint32_t drain(DrainReason reason, std::span<Mbuf*> kept) noexcept = 0;
  /// Buffers that the rings hold.
  [[nodiscard]] virtual std::uint32_t buffers() const noexcept = 0;
  /// The eventfd of the queue's interrupts; -1 if it has none.
  void attach_vector(int source) noexcept {
    has_vector_ = source >= 0;
    if (event() != nullptr) event()->set_source(source);
  }

 protected:
  /// A thread may sleep on the queue, by the device's interrupts.
  void use_interrupts() { use_event(std::make_shared<QueueEvent>(-1, QueueEvent::Trigger::edge)); }
  /// For `fill`: the buffers of a ring.
  [[nodiscard]] Result<void> take_buffers(std::span<Mbuf*> slots, std::span<Mbuf* const> given) {
    const auto missing = slots.subspan(std::min(given.size(), slots.size()));
    if (auto taken = pool()->take_all(missing, "a receive ring"); !taken) return taken;
    std::copy_n(given.begin(), slots.size() - missing.size(), slots.begin());
    return {};
  }
  /// For `drain`: frees the buffers of a ring to the pool's shared list, since the cache belongs to the polling thread.
  /// The first go to `kept` instead.
  std::uint32_t return_buffers(std::span<Mbuf*> slots, std::span<Mbuf*> kept) noexcept {
    std::copy_n(slots.begin(), kept.size(), kept.begin());
    pool()->put(slots.subspan(kept.size()));
    std::ranges::fill(slots, nullptr);
    return static_cast<std::uint32_t>(slots.size());
  }

  // In the first cache line, with the base's gate and cache.
  std::atomic<const char*> fault_{nullptr};
  bool has_vector_ = false;
};

}  // namespace pollux::drivers::paravirtual
