// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/virtio/queue/tx_queue.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "hw/virtio/net.hpp"
#include "mem/context_state.hpp"

namespace pollux::drivers::virtio {

void TxQueue::setup(TxQueueSetup setup) {
  using namespace hw::virtio;
  features_ = setup.features;
  packed_ = (features_ & feature::kRingPacked) != 0;
  const RingOptions options{.event_index = (features_ & feature::kEventIdx) != 0,
                            .in_order = (features_ & feature::kInOrder) != 0};
  memory_ = std::move(setup.memory);
  mask_ = memory_.size - 1;
  packed_ring_ = packed_ ? PackedRing(memory_, options) : PackedRing();
  split_ring_ = packed_ ? SplitRing() : SplitRing(memory_, options);
  header_bytes_ =
      (features_ & feature::kHashReport) != 0 ? sizeof(NetHeaderWithHash) : std::uint32_t{sizeof(NetHeader)};
  slot_memory_.assign(memory_.size, 0);
  slots_ = slot_memory_.data();
  spans_.assign(memory_.size, 1);
  next_ = clean_ = 0;
  max_excess_ = setup.limits.max_frame - setup.limits.min_frame;
  set_up(setup.limits, std::move(setup.cache), std::move(setup.context));
  clear();
}

// Mbufs in the ring may belong to another pool than the new cache's, so they are freed one by one.
void TxQueue::cache_changed() noexcept {
  cache_ = cache();
  direct_ = shortest();
  for (std::uint32_t position = clean_; position != next_; ++position) {
    std::uintptr_t& slot = slots_[position & mask_];
    if (slot == 0 || (slot & TxHotPath::kTags) != 0) continue;
    slot |= TxHotPath::kSpecial;
    spans_[position & mask_] = 1;
  }
}

void TxQueue::clear() noexcept {
  next_ = clean_ = entries_ = used_ = 0;
  fault_.store(nullptr, std::memory_order_release);
  std::fill(slot_memory_.begin(), slot_memory_.end(), 0);
  if (memory_.memory == nullptr) return;
  std::memset(memory_.descriptors.address, 0,
              static_cast<std::size_t>(memory_.extra.address - memory_.descriptors.address));
  with_ring([](const auto& ring) { ring.ask_none(0); });
}

void TxQueue::open() noexcept { open_bursts(tx_burst_for(packed_)); }

void reclaim_shared(TxQueue& queue, bool packed) noexcept;  // tx_burst.cpp

// The sending thread may be using the cache with another port's queues, so buffers go to the shared lists.
bool TxQueue::finished() noexcept {
  if (memory_.memory == nullptr) return true;
  reclaim_shared(*this, packed_);
  return next_ == clean_;
}

std::uint32_t TxQueue::drain(DrainReason reason) noexcept {
  if (memory_.memory == nullptr) return 0;
  std::uint32_t buffers = 0;
  for (std::uint32_t position = clean_; position != next_; ++position) {
    const std::uintptr_t slot = slots_[position & mask_];
    if (slot != 0 && slot != TxHotPath::kDone) {
      buffers += reinterpret_cast<const Mbuf*>(slot & ~TxHotPath::kTags)->segments();
    }
  }
  static_cast<void>(finished());
  const TxDrop why = reason == DrainReason::stopped ? &TxDrops::stopped : &TxDrops::removed;
  for (; clean_ != next_; ++clean_) {
    const std::uintptr_t slot = slots_[clean_ & mask_];
    if (slot == 0 || slot == TxHotPath::kDone) continue;
    auto* const frame = reinterpret_cast<Mbuf*>(slot & ~TxHotPath::kTags);
    count_unsent(frame->packet_length(), why);
    MbufDeleter{}(frame);
  }
  clear();
  return buffers;
}

void TxQueue::retire() noexcept {
  pollux::TxQueue::retire();
  next_ = clean_ = 0;
  slots_ = nullptr;
  slot_memory_.clear();
  memory_ = {};
}

// Another thread may be moving `used_` on: it then sees an older position, which is no progress, once.
std::optional<std::uint32_t> TxQueue::progress() const noexcept {
  const std::uint32_t used = read_counter(used_);
  const std::uint32_t waiting = read_counter(entries_) - used;
  const std::uint32_t ready = with_ring([&](const auto& ring) { return ring.ready(used); });
  if (waiting == 0 || (!packed_ && ready >= waiting)) return std::nullopt;
  return used + ready;
}

std::optional<TxDescriptorStatus> TxQueue::descriptor_status(std::uint32_t offset) const noexcept {
  if (memory_.memory == nullptr || offset > mask_) return std::nullopt;
  const std::uint32_t free = mask_ + 1 - in_flight();
  if (offset < free) return TxDescriptorStatus::free;
  const std::uint32_t ready = with_ring([&](const auto& ring) { return ring.ready(used_); });
  return offset - free < ready ? TxDescriptorStatus::sent : TxDescriptorStatus::pending;
}

}  // namespace pollux::drivers::virtio
