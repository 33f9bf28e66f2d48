// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

/// The two formats of a virtqueue. VIRTIO 1.2, 2.7 "Split Virtqueues" and 2.8 "Packed Virtqueues"; Linux,
/// include/uapi/linux/virtio_ring.h. All fields are little-endian.
namespace pollux::hw::virtio {

/// Flags of descriptors of both formats.
inline constexpr std::uint16_t kDescNext = 1;      ///< the chain goes on
inline constexpr std::uint16_t kDescWrite = 2;     ///< the device writes the buffer; otherwise it reads it
inline constexpr std::uint16_t kDescIndirect = 4;  ///< the buffer is a table of descriptors

/// The most descriptors of a queue. Split rings have a power of two.
inline constexpr std::uint32_t kMaxQueueSize = 32768;

/// A descriptor of a split ring, and of an indirect table beside one: 2.7.5 "The Virtqueue Descriptor Table".
struct SplitDescriptor {
  std::uint64_t address = 0;
  std::uint32_t length = 0;
  std::uint16_t flags = 0;
  std::uint16_t next = 0;  ///< index of the chain's next descriptor, with kDescNext
};
static_assert(sizeof(SplitDescriptor) == 16);

/// The driver area: 2.7.6 "The Virtqueue Available Ring". `ring[size]` follows, and with EVENT_IDX used_event (le16).
struct AvailableRing {
  std::uint16_t flags = 0;  ///< kNoInterrupt, without EVENT_IDX
  std::uint16_t index = 0;  ///< free-running: of the entry that the driver writes next
};
inline constexpr std::uint16_t kNoInterrupt = 1;

/// 2.7.8 "The Virtqueue Used Ring".
struct UsedElement {
  std::uint32_t id = 0;      ///< index of the first descriptor of the used chain
  std::uint32_t length = 0;  ///< bytes that the device wrote
};
static_assert(sizeof(UsedElement) == 8);

/// The device area. `ring[size]` of UsedElement follows, and with EVENT_IDX avail_event (le16).
struct UsedRing {
  std::uint16_t flags = 0;  ///< kNoNotify, without EVENT_IDX
  std::uint16_t index = 0;  ///< free-running: of the entry that the device writes next
};
inline constexpr std::uint16_t kNoNotify = 1;

/// Offsets and sizes of a split ring's areas, in bytes.
[[nodiscard]] constexpr std::uint32_t split_used_event(std::uint32_t size) noexcept { return 4 + 2 * size; }
[[nodiscard]] constexpr std::uint32_t split_driver_bytes(std::uint32_t size) noexcept { return 6 + 2 * size; }
[[nodiscard]] constexpr std::uint32_t split_avail_event(std::uint32_t size) noexcept { return 4 + 8 * size; }
[[nodiscard]] constexpr std::uint32_t split_device_bytes(std::uint32_t size) noexcept { return 6 + 8 * size; }

/// Alignment of the areas. Split rings: 16, 2 and 4; packed rings: 16, 4 and 4.
inline constexpr std::uint32_t kDescriptorAlignment = 16;
inline constexpr std::uint32_t kAreaAlignment = 4;

/// With EVENT_IDX: whether a step of an index from `old` to `now` passes `event`, so that the other side asks to be
/// told (2.7.7.1, 2.7.10.1; Linux, vring_need_event).
[[nodiscard]] constexpr bool passes_event(std::uint16_t event, std::uint16_t now, std::uint16_t old) noexcept {
  return static_cast<std::uint16_t>(now - event - 1) < static_cast<std::uint16_t>(now - old);
}

/// A descriptor of a packed ring, and of an indirect table beside one: 2.8.13 "The Virtqueue Descriptor Format".
struct PackedDescriptor {
  std::uint64_t address = 0;
  std::uint32_t length = 0;
  std::uint16_t id = 0;  ///< of the buffer: in the last descriptor of a chain, and in a used one
  std::uint16_t flags = 0;
};
static_assert(sizeof(PackedDescriptor) == 16);

/// 2.8.1 "Driver and Device Ring Wrap Counters". Of an available descriptor kPackedAvail is the driver's wrap counter
/// and kPackedUsed its inverse; of a used one both are the device's wrap counter. Both counters start with 1.
inline constexpr std::uint16_t kPackedAvail = 1U << 7;
inline constexpr std::uint16_t kPackedUsed = 1U << 15;

/// The two flags of an available and of a used descriptor.
[[nodiscard]] constexpr std::uint16_t packed_available(bool wrap) noexcept { return wrap ? kPackedAvail : kPackedUsed; }
[[nodiscard]] constexpr std::uint16_t packed_used(bool wrap) noexcept {
  return wrap ? std::uint16_t{kPackedAvail | kPackedUsed} : std::uint16_t{0};
}

/// The driver area and the device area of a packed ring: 2.8.14 "Event Suppression Structure Format".
struct EventSuppression {
  std::uint16_t offset_wrap = 0;  ///< with kEventDescriptor: an offset (15 bits), and above it the wrap counter
  std::uint16_t flags = 0;        ///< one of these
};
static_assert(sizeof(EventSuppression) == 4);
inline constexpr std::uint16_t kEventEnable = 0;
inline constexpr std::uint16_t kEventDisable = 1;
inline constexpr std::uint16_t kEventDescriptor = 2;  ///< at one descriptor; with EVENT_IDX alone
inline constexpr std::uint16_t kEventFlags = 3;       ///< mask; the other bits are reserved
inline constexpr unsigned kWrapBit = 15;

}  // namespace pollux::hw::virtio
