// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstdint>

#include "base/compiler.hpp"
#include "drivers/virtio/queue/virtqueue.hpp"
#include "hw/virtio/rings.hpp"
#include "pollux/base/io.hpp"

/// The two ring formats for the bursts. Positions count up without limit; masked they are a slot of the ring.
namespace pollux::drivers::virtio {

/// A buffer that the device has used.
struct UsedBuffer {
  std::uint32_t id = 0;
  std::uint32_t length = 0;  ///< bytes that the device says it has written
};

/// How a queue's device and driver tell each other of progress.
struct RingOptions {
  bool event_index = false;  ///< EVENT_IDX
  bool in_order = false;     ///< IN_ORDER
};

// Orders the stores that make buffers available before the look at whether the device wants a notification: both sides
// store, then read what the other has stored (2.8, "Sending Available Buffer Notifications").
POLLUX_ALWAYS_INLINE void store_before_load() noexcept { std::atomic_thread_fence(std::memory_order_seq_cst); }

/// 2.7 "Split Virtqueues".
struct SplitRing {
  hw::virtio::SplitDescriptor* descriptors = nullptr;
  std::uint16_t* available = nullptr;  ///< entries
  const hw::virtio::UsedElement* used = nullptr;
  hw::virtio::AvailableRing* driver = nullptr;
  const hw::virtio::UsedRing* device = nullptr;
  std::uint16_t* used_event = nullptr;
  const std::uint16_t* available_event = nullptr;
  std::uint32_t mask = 0;
  RingOptions options;

  SplitRing() = default;
  SplitRing(const Virtqueue& queue, RingOptions with) noexcept
      : descriptors(queue.descriptors.at<hw::virtio::SplitDescriptor>()),
        available(queue.driver.at<std::uint16_t>(sizeof(hw::virtio::AvailableRing))),
        used(queue.device.at<hw::virtio::UsedElement>(sizeof(hw::virtio::UsedRing))),
        driver(queue.driver.at<hw::virtio::AvailableRing>()),
        device(queue.device.at<hw::virtio::UsedRing>()),
        used_event(queue.driver.at<std::uint16_t>(hw::virtio::split_used_event(queue.size))),
        available_event(queue.device.at<std::uint16_t>(hw::virtio::split_avail_event(queue.size))),
        mask(queue.size - 1),
        options(with) {}

  /// Used entries from position `next` on. A device that lies may report any number.
  [[nodiscard]] POLLUX_ALWAYS_INLINE std::uint32_t ready(std::uint32_t next) const noexcept {
    const std::uint16_t index = __atomic_load_n(&device->index, __ATOMIC_ACQUIRE);
    io::dma_rmb();
    return static_cast<std::uint16_t>(index - next);
  }
  /// Whether the device has not used the entry at position `next`, which it has.
  [[nodiscard]] POLLUX_ALWAYS_INLINE bool is_unused(std::uint32_t next) const noexcept { return ready(next) == 0; }
  [[nodiscard]] UsedBuffer at(std::uint32_t next) const noexcept {
    const hw::virtio::UsedElement element = used[next & mask];
    return {element.id, element.length};
  }

  /// Shows the device all entries before `now`, of which those from `old` on are new. `next_used`: that of a packed
  /// ring.
  POLLUX_ALWAYS_INLINE void publish(std::uint32_t old, std::uint32_t now, std::uint32_t /*next_used*/,
                                    const Notifier& notifier) const noexcept {
    io::io_wmb();
    __atomic_store_n(&driver->index, static_cast<std::uint16_t>(now), __ATOMIC_RELEASE);
    store_before_load();
    if (wants_notification(old, now)) notifier.ring(static_cast<std::uint16_t>(now));
  }
  [[nodiscard]] POLLUX_ALWAYS_INLINE bool wants_notification(std::uint32_t old, std::uint32_t now) const noexcept {
    if (options.event_index) {
      const std::uint16_t event = __atomic_load_n(available_event, __ATOMIC_RELAXED);
      return hw::virtio::passes_event(event, static_cast<std::uint16_t>(now), static_cast<std::uint16_t>(old));
    }
    return (__atomic_load_n(&device->flags, __ATOMIC_RELAXED) & hw::virtio::kNoNotify) == 0;
  }

  /// Asks for an interrupt with the entry that is used at position `next`, or for none ("Used Buffer Notification
  /// Suppression").
  void ask_interrupt(std::uint32_t next) const noexcept {
    __atomic_store_n(used_event, static_cast<std::uint16_t>(next), __ATOMIC_RELAXED);
    __atomic_store_n(&driver->flags, std::uint16_t{0}, __ATOMIC_RELAXED);
    store_before_load();
  }
  /// With EVENT_IDX the flag must be 0. The device then passes the event only after 65,536 entries, once.
  void ask_none(std::uint32_t next) const noexcept {
    __atomic_store_n(used_event, static_cast<std::uint16_t>(next - 1), __ATOMIC_RELAXED);
    const std::uint16_t flag = options.event_index ? std::uint16_t{0} : hw::virtio::kNoInterrupt;
    __atomic_store_n(&driver->flags, flag, __ATOMIC_RELAXED);
  }
};

/// 2.8 "Packed Virtqueues".
struct PackedRing {
  hw::virtio::PackedDescriptor* descriptors = nullptr;
  hw::virtio::EventSuppression* driver = nullptr;
  const hw::virtio::EventSuppression* device = nullptr;
  std::uint32_t mask = 0;
  RingOptions options;

  PackedRing() = default;
  PackedRing(const Virtqueue& queue, RingOptions with) noexcept
      : descriptors(queue.descriptors.at<hw::virtio::PackedDescriptor>()),
        driver(queue.driver.at<hw::virtio::EventSuppression>()),
        device(queue.device.at<hw::virtio::EventSuppression>()),
        mask(queue.size - 1),
        options(with) {}

  /// The wrap counter at a position: it starts with 1 and changes each time around.
  [[nodiscard]] POLLUX_ALWAYS_INLINE bool wrap(std::uint32_t position) const noexcept {
    return (position & (mask + 1)) == 0;
  }
  /// The half of a descriptor with length, id and flags, as one word.
  [[nodiscard]] static POLLUX_ALWAYS_INLINE std::uint64_t word(std::uint64_t length, std::uint64_t id,
                                                               std::uint64_t flags) noexcept {
    return flags << 48 | id << 32 | length;
  }
  [[nodiscard]] POLLUX_ALWAYS_INLINE std::uint64_t* word_at(std::uint32_t slot) const noexcept {
    return reinterpret_cast<std::uint64_t*>(descriptors + slot) + 1;
  }
  /// The word of a descriptor that the device has used, but for length and id, and the bits that say so.
  static constexpr std::uint64_t kUsedBits = std::uint64_t{hw::virtio::kPackedAvail | hw::virtio::kPackedUsed} << 48;
  [[nodiscard]] POLLUX_ALWAYS_INLINE std::uint64_t used_bits(std::uint32_t position) const noexcept {
    return wrap(position) ? kUsedBits : 0;
  }

  /// 1 if the entry at position `next` is used. Later ones may be, too.
  [[nodiscard]] POLLUX_ALWAYS_INLINE std::uint32_t ready(std::uint32_t next) const noexcept {
    return (io::load_acquire(*word_at(next & mask)) & kUsedBits) == used_bits(next) ? 1 : 0;
  }
  /// As with SplitRing. False also if it is of another lap.
  [[nodiscard]] POLLUX_ALWAYS_INLINE bool is_unused(std::uint32_t next) const noexcept {
    constexpr std::uint16_t kBits = hw::virtio::kPackedAvail | hw::virtio::kPackedUsed;
    const std::uint16_t flags = __atomic_load_n(&descriptors[next & mask].flags, __ATOMIC_RELAXED);
    return (flags & kBits) == hw::virtio::packed_available(wrap(next));
  }
  /// The entry at position `next`, which the device has, is neither available nor used: the device has written it with
  /// a wrong wrap counter.
  [[nodiscard]] POLLUX_ALWAYS_INLINE bool is_of_another_lap(std::uint32_t next) const noexcept {
    constexpr std::uint64_t kAvailable = std::uint64_t{hw::virtio::kPackedAvail} << 48;
    return ((io::load_acquire(*word_at(next & mask)) & kAvailable) != 0) != wrap(next);
  }
  [[nodiscard]] UsedBuffer at(std::uint32_t next) const noexcept {
    const std::uint64_t used = *word_at(next & mask);
    return {static_cast<std::uint32_t>(used >> 32 & 0xFFFF), static_cast<std::uint32_t>(used)};
  }

  /// Writes one descriptor, which the device sees from then on.
  POLLUX_ALWAYS_INLINE void put(std::uint32_t position, std::uint64_t address, std::uint32_t length, std::uint32_t id,
                                std::uint16_t flags) const noexcept {
    const std::uint32_t slot = position & mask;
    descriptors[slot].address = address;
    io::io_wmb();
    __atomic_store_n(word_at(slot), word(length, id, flags | hw::virtio::packed_available(wrap(position))),
                     __ATOMIC_RELEASE);
  }

  /// The device has all entries before `now`, of which those from `old` on are new. `next_used`: the position of the
  /// next used entry, as far as the driver has looked.
  POLLUX_ALWAYS_INLINE void publish(std::uint32_t old, std::uint32_t now, std::uint32_t next_used,
                                    const Notifier& notifier) const noexcept {
    store_before_load();
    if (wants_notification(old, now, next_used)) notifier.ring(offset_and_wrap(now));
  }
  [[nodiscard]] POLLUX_ALWAYS_INLINE bool wants_notification(std::uint32_t old, std::uint32_t now,
                                                             std::uint32_t next_used) const noexcept {
    std::uint32_t event = 0;
    __atomic_load(reinterpret_cast<const std::uint32_t*>(device), &event, __ATOMIC_RELAXED);
    const std::uint32_t flags = event >> 16 & hw::virtio::kEventFlags;
    if (flags != hw::virtio::kEventDescriptor) return flags != hw::virtio::kEventDisable;
    return wants_notification(event, old, now, next_used);
  }
  [[nodiscard]] POLLUX_NOINLINE bool wants_notification(std::uint32_t event, std::uint32_t old, std::uint32_t now,
                                                        std::uint32_t next_used) const noexcept {
    // The position nearest before `now` that has this offset and wrap counter. An offset beyond the ring matches none.
    const std::uint32_t wanted = (event & 0x7FFF) | ((event >> hw::virtio::kWrapBit & 1) != 0 ? 0 : mask + 1);
    const std::uint32_t back = ((now - 1 - wanted) & (2 * mask + 1));
    if (back < now - old) return true;
    if (wanted == (now & (2 * mask + 1))) return false;
    // The device's event is in the past. QEMU's transmit queue stays so when it has sent what waited for a receiver: it
    // never asks again, though it has used the entry of its event. An extra notification is harmless.
    return back >= now - next_used || ready(next_used) != 0;
  }
  [[nodiscard]] POLLUX_ALWAYS_INLINE std::uint16_t offset_and_wrap(std::uint32_t position) const noexcept {
    return static_cast<std::uint16_t>((position & mask) | std::uint32_t{wrap(position)} << hw::virtio::kWrapBit);
  }

  /// "Driver and Device Event Suppression".
  void ask_interrupt(std::uint32_t next) const noexcept {
    __atomic_store_n(&driver->offset_wrap, offset_and_wrap(next), __ATOMIC_RELAXED);
    const std::uint16_t flags = options.event_index ? hw::virtio::kEventDescriptor : hw::virtio::kEventEnable;
    __atomic_store_n(&driver->flags, flags, __ATOMIC_RELEASE);
    store_before_load();
  }
  void ask_none(std::uint32_t /*next*/) const noexcept {
    __atomic_store_n(&driver->flags, hw::virtio::kEventDisable, __ATOMIC_RELAXED);
  }
};

}  // namespace pollux::drivers::virtio
