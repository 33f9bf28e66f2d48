// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/vmware/vmxnet3/tx_queue.hpp"

#include <cstring>
#include <utility>

#include "mem/context_state.hpp"

namespace pollux::drivers::vmxnet3 {

void Vmxnet3TxQueue::setup(TxQueueSetup setup) {
  memory = std::move(setup.memory);
  descriptors = memory.at<reg::Descriptor>(0);
  completions = memory.at<reg::Completion>(setup.size * sizeof(reg::Descriptor));
  set_up_ring(setup.size, setup.limits, std::move(setup.cache), std::move(setup.context));
}

void Vmxnet3TxQueue::clear() noexcept {
  ParavirtualTxQueue::clear();
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

void Vmxnet3TxQueue::reclaim_shared() noexcept { tx_reclaim(*this, nullptr, 0); }

void Vmxnet3TxQueue::retire() noexcept {
  ParavirtualTxQueue::retire();
  memory = {};
}

// Another thread may be moving `used` and `clean` on: it then sees an older position, which is no progress, once.
std::uint32_t Vmxnet3TxQueue::sent_until() const noexcept {
  const std::uint32_t from = read_counter(clean);
  std::uint32_t until = from;
  const std::uint32_t first = read_counter(used);
  for (std::uint32_t position = first; position - first <= mask && is_ready(position); ++position) {
    const auto index = static_cast<std::uint32_t>(completions[position & mask].low & reg::tx::kIndexMask);
    until = from + ((index - from) & mask) + 1;
  }
  return until;
}

std::optional<std::uint32_t> Vmxnet3TxQueue::first_unsent() const noexcept {
  const std::uint32_t end = read_counter(next);
  if (read_counter(clean) == end) return std::nullopt;
  const std::uint32_t position = sent_until();
  if (position == end) return std::nullopt;
  return position;
}

std::optional<TxDescriptorStatus> Vmxnet3TxQueue::descriptor_status(std::uint32_t offset) const noexcept {
  if (memory.address == nullptr || offset > mask) return std::nullopt;
  const std::uint32_t free = mask + 1 - in_flight();
  if (offset < free) return TxDescriptorStatus::free;
  return offset - free < sent_until() - clean ? TxDescriptorStatus::sent : TxDescriptorStatus::pending;
}

}  // namespace pollux::drivers::vmxnet3
