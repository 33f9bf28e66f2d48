// SPDX-License-Identifier: BSD-3-Clause
#include "faked_virtio.hpp"

#include <array>
#include <cstring>

#include "cold_lines.hpp"
#include "fixture.hpp"
#include "hw/virtio/net.hpp"
#include "hw/virtio/rings.hpp"

namespace pollux::bench {

namespace ring = hw::virtio;

namespace {

constexpr std::uint32_t kHeader = sizeof(hw::virtio::NetHeader);
// The header of a frame in one buffer that asks for nothing, and a frame with the addresses of FakedCard's.
constexpr std::array<std::uint8_t, kHeader + 14> kStart = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2,
                                                           0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0};

}  // namespace

void FakedVirtqueue::ask_for_no_doorbells() const {
  if (packed_) {
    at<ring::EventSuppression>(areas_.device)->flags = ring::kEventDisable;
  } else {
    at<ring::UsedRing>(areas_.device)->flags = ring::kNoNotify;
  }
}

bool FakedVirtqueue::take(Buffer& buffer) {
  const std::uint32_t mask = areas_.size - 1;
  if (packed_) {
    const auto* const entry = at<ring::PackedDescriptor>(areas_.descriptors) + (next_ & mask);
    constexpr std::uint16_t kBits = ring::kPackedAvail | ring::kPackedUsed;
    if ((__atomic_load_n(&entry->flags, __ATOMIC_ACQUIRE) & kBits) != ring::packed_available(wrap(next_))) return false;
    if ((entry->flags & (ring::kDescNext | ring::kDescIndirect)) != 0) give_up("a frame has several descriptors");
    buffer = {.data = frame_of(entry->address), .length = entry->length, .id = entry->id};
  } else {
    if (__atomic_load_n(&at<ring::AvailableRing>(areas_.driver)->index, __ATOMIC_ACQUIRE) ==
        static_cast<std::uint16_t>(next_))
      return false;
    const std::uint16_t id = at<std::uint16_t>(areas_.driver, sizeof(ring::AvailableRing))[next_ & mask];
    const auto* const entry = at<ring::SplitDescriptor>(areas_.descriptors) + id;
    if ((entry->flags & (ring::kDescNext | ring::kDescIndirect)) != 0) give_up("a frame has several descriptors");
    buffer = {.data = frame_of(entry->address), .length = entry->length, .id = id};
  }
  ++next_;
  return true;
}

void FakedVirtqueue::use(const Buffer& buffer, std::uint32_t length) {
  const std::uint32_t slot = used_ & (areas_.size - 1);
  if (packed_) {
    auto* const entry = at<ring::PackedDescriptor>(areas_.descriptors) + slot;
    entry->length = length;
    entry->id = static_cast<std::uint16_t>(buffer.id);
    __atomic_store_n(&entry->flags, ring::packed_used(wrap(used_)), __ATOMIC_RELEASE);
  } else {
    at<ring::UsedElement>(areas_.device, sizeof(ring::UsedRing))[slot] = {buffer.id, length};
  }
  ++used_;
}

// What the device has written and read of the rings is flushed as a whole: a line may hold entries of both sides.
void FakedVirtqueue::show() {
  if (!packed_) {
    __atomic_store_n(&at<ring::UsedRing>(areas_.device)->index, static_cast<std::uint16_t>(used_), __ATOMIC_RELEASE);
  }
  if (!cold_) return;
  flush_lines(areas_.descriptors, areas_.size * std::uint32_t{sizeof(ring::SplitDescriptor)});
  if (!packed_) {
    flush_lines(areas_.driver, ring::split_driver_bytes(areas_.size));
    flush_lines(areas_.device, ring::split_device_bytes(areas_.size));
  }
  _mm_mfence();
}

std::uint32_t FakedVirtqueue::receive(std::uint32_t count, std::uint32_t length) {
  std::uint32_t done = 0;
  for (Buffer buffer; done < count && take(buffer); ++done) {
    const std::uint32_t bytes = kHeader + length;
    if (buffer.length < bytes) give_up("a buffer is too small for a frame");
    std::memcpy(buffer.data, kStart.data(), kStart.size());
    std::memset(buffer.data + kStart.size(), 0, bytes - kStart.size());
    if (cold_) flush_lines(buffer.data, bytes);
    use(buffer, bytes);
  }
  show();
  return done;
}

std::uint32_t FakedVirtqueue::finish_transmits() {
  std::uint32_t done = 0;
  for (Buffer buffer; take(buffer); ++done) {
    std::uint64_t word = 0;
    std::memcpy(&word, buffer.data + kHeader, sizeof word);
    sink_ = sink_ + word;
    if (cold_) flush_lines(buffer.data, buffer.length);
    use(buffer, 0);
  }
  show();
  return done;
}

}  // namespace pollux::bench
