// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/virtio/queue/tx_queue.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "mem/context_state.hpp"

namespace pollux::drivers::virtio {

void VirtioTxQueue::setup(TxQueueSetup setup) {
  using namespace hw::virtio;
  features = setup.features;
  packed_ = (features & feature::kRingPacked) != 0;
  const RingOptions options{.event_index = (features & feature::kEventIdx) != 0,
                            .in_order = (features & feature::kInOrder) != 0};
  memory = std::move(setup.memory);
  packed_ring = packed_ ? PackedRing(memory, options) : PackedRing();
  split_ring = packed_ ? SplitRing() : SplitRing(memory, options);
  header_bytes = net_header_bytes(features);
  spans.assign(memory.size, 1);
  set_up_ring(memory.size, setup.limits, std::move(setup.cache), std::move(setup.context));
}

void VirtioTxQueue::cache_changed() noexcept {
  for (std::uint32_t position = clean; position != next; ++position) {
    if ((slots[position & mask] & kTags) == 0) spans[position & mask] = 1;
  }
  ParavirtualTxQueue::cache_changed();
}

void VirtioTxQueue::clear() noexcept {
  ParavirtualTxQueue::clear();
  entries = 0;
  if (memory.memory == nullptr) return;
  std::memset(memory.descriptors.address, 0,
              static_cast<std::size_t>(memory.extra.address - memory.descriptors.address));
  with_ring([](const auto& ring) { ring.ask_none(0); });
}

void VirtioTxQueue::open() noexcept { open_bursts(tx_burst_for(packed_)); }

void VirtioTxQueue::reclaim_shared() noexcept { tx_reclaim_shared(*this, packed_); }

void VirtioTxQueue::retire() noexcept {
  ParavirtualTxQueue::retire();
  memory = {};
}

// A device writes the first descriptor of a frame that it has used, or of a batch, if in order; a frame's other
// descriptors still have the id that the driver gave to all of them. Behind several descriptors that were used out of
// order nothing is found until they are freed.
std::uint32_t VirtioTxQueue::first_unused(std::uint32_t from, std::uint32_t end) const noexcept {
  if (!packed_) return from + std::min(split_ring.ready(from), end - from);
  const auto before_end = [&] { return static_cast<std::int32_t>(end - from) > 0; };
  const auto id = [&] { return static_cast<std::uint16_t>(io::load_acquire(*packed_ring.word_at(from & mask)) >> 32); };
  while (before_end() && packed_ring.ready(from) != 0) {
    const std::uint16_t used_id = id();
    if (packed_ring.options.in_order) from += (used_id - from) & mask;
    do {
      ++from;
    } while (before_end() && id() == used_id);
  }
  return from;
}

// Another thread may be moving `used` on: it then sees an older position, which is no progress, once. A sender that
// rests frees nothing, so what the device has used is looked at, not what has been freed.
std::optional<std::uint32_t> VirtioTxQueue::first_unsent() const noexcept {
  const std::uint32_t freed = read_counter(used);
  const std::uint32_t end = read_counter(entries);
  const std::uint32_t position = first_unused(freed, end);
  if (position == end) return std::nullopt;
  return position;
}

std::optional<TxDescriptorStatus> VirtioTxQueue::descriptor_status(std::uint32_t offset) const noexcept {
  if (memory.memory == nullptr || offset > mask) return std::nullopt;
  const std::uint32_t free = mask + 1 - in_flight();
  if (offset < free) return TxDescriptorStatus::free;
  const std::uint32_t ready = with_ring([&](const auto& ring) { return ring.ready(used); });
  return offset - free < ready ? TxDescriptorStatus::sent : TxDescriptorStatus::pending;
}

}  // namespace pollux::drivers::virtio
