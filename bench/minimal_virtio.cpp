// SPDX-License-Identifier: BSD-3-Clause
#include "minimal_virtio.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <random>

#include "fixture.hpp"
#include "hw/virtio/net.hpp"
#include "hw/virtio/rings.hpp"
#include "mem/context_state.hpp"
#include "pollux/base/io.hpp"

namespace pollux::bench {

namespace virtio = hw::virtio;

namespace {

constexpr std::uint32_t kHeader = sizeof(virtio::NetHeader);
constexpr std::uint32_t kRoom = kHeader + Setup::kBuffer;
constexpr std::uint64_t kUsedBits = std::uint64_t{virtio::kPackedAvail | virtio::kPackedUsed} << 48;

template <std::uint32_t Slots>
bool wrap(std::uint32_t position) noexcept {
  return (position & Slots) == 0;
}
std::uint64_t word(std::uint64_t length, std::uint64_t id, std::uint64_t flags) noexcept {
  return flags << 48 | id << 32 | length;
}
// The second word of a packed descriptor.
std::uint64_t& word_of(const drivers::virtio::Virtqueue& memory, std::uint32_t slot) noexcept {
  return memory.descriptors.at<std::uint64_t>()[2 * slot + 1];
}
template <std::uint32_t Slots>
bool is_used(const drivers::virtio::Virtqueue& memory, std::uint32_t position) noexcept {
  const std::uint64_t bits = io::load_acquire(word_of(memory, position & (Slots - 1))) & kUsedBits;
  return bits == (wrap<Slots>(position) ? kUsedBits : 0);
}
std::uint32_t used(const drivers::virtio::Virtqueue& memory, std::uint32_t next) noexcept {
  const std::uint16_t index = __atomic_load_n(&memory.device.at<virtio::UsedRing>()->index, __ATOMIC_ACQUIRE);
  return static_cast<std::uint16_t>(index - next);
}

}  // namespace

template <bool kPacked>
MinimalVirtio<kPacked>::MinimalVirtio(Context& context, const Setup& setup) {
  if (setup.ring != kRing) give_up("the minimal loop on virtqueues has rings of 512 only");
  memory_ = need(context.allocate({.size = setup.pool * sizeof(Buffer), .purpose = "the minimal loop"}));
  const DmaSegment& segment = memory_.segments().front();
  to_iova_ = segment.iova - reinterpret_cast<std::uintptr_t>(segment.address);
  auto* const buffers = reinterpret_cast<Buffer*>(segment.address);
  for (std::uint32_t i = 0; i < setup.pool; ++i) stack_.push_back(buffers + i);
  std::shuffle(stack_.begin(), stack_.end(), std::mt19937(1));
  top_ = setup.pool;
  set_up(rx_, context, setup);
  set_up(tx_, context, setup);
  for (std::uint32_t slot = 0; slot < kRing; ++slot) {
    rx_.slots[slot] = take();
    const std::uint64_t at = iova(rx_.slots[slot]);
    if constexpr (kPacked) {
      rx_.memory.descriptors.template at<std::uint64_t>()[2 * slot] = at;
      word_of(rx_.memory, slot) = word(kRoom, slot, virtio::kDescWrite | virtio::packed_available(true));
    } else {
      rx_.memory.descriptors.template at<virtio::SplitDescriptor>()[slot] = {at, kRoom, virtio::kDescWrite, 0};
    }
  }
  publish(rx_, kRing);
}

template <bool kPacked>
void MinimalVirtio<kPacked>::set_up(Ring& ring, Context& context, const Setup& setup) {
  ring.memory = need(drivers::virtio::allocate_virtqueue(*context.state(), kPacked ? virtio::feature::kRingPacked : 0,
                                                         kRing, 0, -1, "bench"));
  if constexpr (!kPacked) {
    auto* const entries = ring.memory.driver.template at<std::uint16_t>(sizeof(virtio::AvailableRing));
    for (std::uint32_t slot = 0; slot < kRing; ++slot) entries[slot] = static_cast<std::uint16_t>(slot);
  }
  ring.device = FakedVirtqueue(
      {ring.memory.descriptors.address, ring.memory.driver.address, ring.memory.device.address, kRing, -to_iova_},
      kPacked);
  ring.device.set_cold(setup.cold);
  ring.device.ask_for_no_doorbells();
}

template <bool kPacked>
std::uint64_t MinimalVirtio<kPacked>::iova(const Buffer* buffer) const noexcept {
  return reinterpret_cast<std::uintptr_t>(buffer->data.data()) + kFrameAt - kHeader + to_iova_;
}

template <bool kPacked>
__attribute__((always_inline)) inline void MinimalVirtio<kPacked>::publish(Ring& ring, std::uint32_t index) noexcept {
  if constexpr (!kPacked) {
    const auto now = static_cast<std::uint16_t>(index);
    __atomic_store_n(&ring.memory.driver.template at<virtio::AvailableRing>()->index, now, __ATOMIC_RELEASE);
  }
  // As the standard asks for: the device's wish is read after the buffers have been shown.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  bool wanted = false;
  if constexpr (kPacked) {
    const auto* const event = ring.memory.device.template at<virtio::EventSuppression>();
    wanted = __atomic_load_n(&event->flags, __ATOMIC_RELAXED) != virtio::kEventDisable;
  } else {
    const auto* const device = ring.memory.device.template at<virtio::UsedRing>();
    wanted = (__atomic_load_n(&device->flags, __ATOMIC_RELAXED) & virtio::kNoNotify) == 0;
  }
  if (wanted) ring.doorbell = 0;
}

template <bool kPacked>
__attribute__((noinline)) std::uint32_t MinimalVirtio<kPacked>::rx_burst(Buffer** buffers,
                                                                         std::uint32_t limit) noexcept {
  if (top_ < limit) return 0;
  if constexpr (!kPacked) limit = std::min(limit, used(rx_.memory, rx_.next));
  std::uint32_t count = 0;
  Buffer** fresh = stack_.data() + top_;
  for (; count < limit; ++count) {
    const std::uint32_t position = rx_.next + count;
    const std::uint32_t slot = position & kMask;
    Buffer* const buffer = rx_.slots[slot];
    Buffer* const replacement = fresh[-1];
    if constexpr (kPacked) {
      if (!is_used<kRing>(rx_.memory, position)) break;
      buffer->length = static_cast<std::uint32_t>(word_of(rx_.memory, slot)) - kHeader;
      rx_.memory.descriptors.template at<std::uint64_t>()[2 * slot] = iova(replacement);
      const std::uint16_t available = virtio::packed_available(!wrap<kRing>(position));
      __atomic_store_n(&word_of(rx_.memory, slot), word(kRoom, slot, virtio::kDescWrite | available), __ATOMIC_RELEASE);
    } else {
      const auto* const elements = rx_.memory.device.template at<virtio::UsedElement>(sizeof(virtio::UsedRing));
      buffer->length = elements[slot].length - kHeader;
      rx_.memory.descriptors.template at<std::uint64_t>()[2 * slot] = iova(replacement);
    }
    --fresh;
    buffers[count] = buffer;
    rx_.slots[slot] = replacement;
  }
  top_ -= count;
  if (count != 0) {
    rx_.next += count;
    publish(rx_, rx_.next + kRing);
  }
  return count;
}

template <bool kPacked>
__attribute__((always_inline)) inline void MinimalVirtio<kPacked>::clean() noexcept {
  constexpr std::uint32_t kGroup = 32;
  for (;;) {
    if constexpr (kPacked) {
      if (tx_.next - tx_.clean < kGroup || !is_used<kRing>(tx_.memory, tx_.clean + kGroup - 1)) return;
    } else {
      if (used(tx_.memory, tx_.clean) < kGroup) return;
    }
    std::copy_n(tx_.slots.data() + (tx_.clean & kMask), kGroup, stack_.data() + top_);
    top_ += kGroup;
    tx_.clean += kGroup;
  }
}

template <bool kPacked>
__attribute__((noinline)) std::uint32_t MinimalVirtio<kPacked>::tx_burst(Buffer* const* buffers,
                                                                         std::uint32_t count) noexcept {
  clean();
  count = std::min(count, kRing - (tx_.next - tx_.clean));
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t position = tx_.next + i;
    const std::uint32_t slot = position & kMask;
    Buffer* const buffer = buffers[i];
    std::memset(frame(buffer) - kHeader, 0, kHeader);
    tx_.slots[slot] = buffer;
    auto* const words = tx_.memory.descriptors.template at<std::uint64_t>() + 2 * slot;
    words[0] = iova(buffer);
    if constexpr (kPacked) {
      const std::uint16_t flags = virtio::packed_available(wrap<kRing>(position));
      __atomic_store_n(words + 1, word(buffer->length + kHeader, slot, flags), __ATOMIC_RELEASE);
    } else {
      words[1] = buffer->length + kHeader;
    }
  }
  tx_.next += count;
  publish(tx_, tx_.next);
  return count;
}

template class MinimalVirtio<false>;
template class MinimalVirtio<true>;

}  // namespace pollux::bench
