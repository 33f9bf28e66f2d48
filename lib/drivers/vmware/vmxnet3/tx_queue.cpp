// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/vmware/vmxnet3/tx_queue.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "mem/context_state.hpp"

namespace pollux::drivers::vmxnet3 {

void Vmxnet3TxQueue::setup(TxQueueSetup setup) {
  memory = std::move(setup.memory);
  mask = setup.size - 1;
  descriptors = memory.at<reg::Descriptor>(0);
  completions = memory.at<reg::Completion>(setup.size * sizeof(reg::Descriptor));
  slot_memory_.assign(setup.size, 0);
  slots = slot_memory_.data();
  next = clean = 0;
  max_excess = setup.limits.max_frame - setup.limits.min_frame;
  set_up(setup.limits, std::move(setup.cache), std::move(setup.context));
  clear();
}

// Mbufs in the ring may belong to another pool than the new cache's, so they are freed one by one.
void Vmxnet3TxQueue::cache_changed() noexcept {
  sent_cache = cache();
  direct = shortest();
  for (std::uint32_t position = clean; position != next; ++position) {
    std::uintptr_t& slot = slots[position & mask];
    if (slot != 0) slot |= kSpecial;
  }
}

void Vmxnet3TxQueue::clear() noexcept {
  next = clean = done = 0;
  forget_mark(0);
  fault_.store(nullptr, std::memory_order_release);
  std::ranges::fill(slot_memory_, 0);
  if (memory.address == nullptr) return;
  std::memset(memory.address, 0, (mask + 1) * (sizeof(reg::Descriptor) + sizeof(reg::Completion)));
}

void Vmxnet3TxQueue::describe(reg::TxQueueShared& of_device, const Bar& bar, std::uint32_t index, std::uint8_t vector) {
  of_device.ring = memory.iova;
  of_device.ring_size = mask + 1;
  of_device.completions = memory.iova + (mask + 1) * sizeof(reg::Descriptor);
  of_device.completions_size = mask + 1;
  of_device.vector = vector;
  producer = Doorbell(bar, reg::TXPROD::offset(index));
}

void Vmxnet3TxQueue::open() noexcept { open_bursts(tx_burst_function()); }

// The sending thread may be using the cache with another port's queues, so buffers go to the shared lists.
bool Vmxnet3TxQueue::finished() noexcept {
  if (memory.address == nullptr) return true;
  tx_reclaim(*this, nullptr);
  return next == clean;
}

std::uint32_t Vmxnet3TxQueue::drain(DrainReason reason) noexcept {
  if (memory.address == nullptr) return 0;
  std::uint32_t buffers = 0;
  const auto frame = [&](std::uint32_t position) {
    return reinterpret_cast<Mbuf*>(slots[position & mask] & ~kSpecial);
  };
  for (std::uint32_t position = clean; position != next; ++position) {
    if (frame(position) != nullptr) buffers += frame(position)->segments();
  }
  static_cast<void>(finished());
  const TxDrop why = reason == DrainReason::stopped ? &TxDrops::stopped : &TxDrops::removed;
  for (; clean != next; ++clean) {
    if (frame(clean) == nullptr) continue;
    count_unsent(frame(clean)->packet_length(), why);
    MbufDeleter{}(frame(clean));
  }
  clear();
  return buffers;
}

void Vmxnet3TxQueue::retire() noexcept {
  TxQueueDriver::retire();
  next = clean = 0;
  slots = nullptr;
  slot_memory_.clear();
  memory = {};
}

// Another thread may be moving `done` and `clean` on: it then sees an older position, which is no progress, once.
std::uint32_t Vmxnet3TxQueue::sent_until() const noexcept {
  const std::uint32_t from = read_counter(clean);
  std::uint32_t until = from;
  const std::uint32_t first = read_counter(done);
  for (std::uint32_t position = first; position - first <= mask && is_ready(position); ++position) {
    const auto index = static_cast<std::uint32_t>(completions[position & mask].low & reg::tx::kIndexMask);
    until = from + ((index - from) & mask) + 1;
  }
  return until;
}

std::optional<std::uint32_t> Vmxnet3TxQueue::progress() const noexcept {
  const std::uint32_t end = read_counter(next);
  if (read_counter(clean) == end || fault() != nullptr) return std::nullopt;
  const std::uint32_t position = sent_until();
  if (position == end) return std::nullopt;
  return position;
}

bool Vmxnet3TxQueue::has_unsent(const TxSent& counted) const noexcept {
  if (memory.address == nullptr) return false;
  if (!is_between_bursts(counted)) return true;
  const std::uint32_t end = read_counter(next);
  return read_counter(clean) != end && sent_until() != end;
}

std::optional<TxDescriptorStatus> Vmxnet3TxQueue::descriptor_status(std::uint32_t offset) const noexcept {
  if (memory.address == nullptr || offset > mask) return std::nullopt;
  const std::uint32_t free = mask + 1 - in_flight();
  if (offset < free) return TxDescriptorStatus::free;
  return offset - free < sent_until() - clean ? TxDescriptorStatus::sent : TxDescriptorStatus::pending;
}

}  // namespace pollux::drivers::vmxnet3
