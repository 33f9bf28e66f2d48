// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/vmware/vmxnet3/rx_queue.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "net/frame_size.hpp"

namespace pollux::drivers::vmxnet3 {

Vmxnet3RxQueue::Vmxnet3RxQueue(const RxFilter& filter, bool sleeps, const VlansInSoftware& software)
    : RxRings(&idle, &filter) {
  vlans = &software;
  if (sleeps) use_interrupts();
}

void Vmxnet3RxQueue::setup(RxQueueSetup setup) {
  memory_ = std::move(setup.memory);
  set_up(std::move(setup.pool), std::move(setup.cache), setup.port);
  slot_memory_.assign(std::size_t{2} * setup.size, nullptr);
  room = setup.buffer_bytes;
  heads = {.descriptors = memory_.at<reg::Descriptor>(0), .slots = slot_memory_.data(), .mask = setup.size - 1};
  bodies = {.descriptors = heads.descriptors + setup.size, .slots = heads.slots + setup.size, .mask = heads.mask};
  completions = memory_.at<reg::Completion>(2 * setup.size * sizeof(reg::Descriptor));
  mask = 2 * setup.size - 1;
  index = setup.index;
  queues = setup.queues;
  const std::uint32_t at = pool()->data_offset();
  path = {.word = pool()->empty_word(RxFormat::none, setup.port) + kEthernetHeaderBytes,
          .iova_delta = pool()->iova_delta() + Mbuf::kHeaderSize + at,
          .iova_at = at,
          .first = static_cast<std::uint32_t>(index << reg::rx::kRingShift | reg::rx::kStartOfPacket |
                                              reg::rx::kEndOfPacket | reg::rx::kNotChecked)};
}

Result<void> Vmxnet3RxQueue::fill(std::uint32_t count, std::span<Mbuf* const> given) {
  if (auto taken = take_buffers(std::span(slot_memory_).first(count), given); !taken) return taken;
  buffers_ = count;
  std::memset(memory_.address, 0, rx_bytes(size()));
  next = heads.next = bodies.next = 0;
  path.shortest = kEthernetHeaderBytes;
  heads.ready = room | reg::rx::kGeneration;
  bodies.ready = heads.ready | reg::rx::kBody;
  fault_.store(nullptr, std::memory_order_release);
  for (std::uint32_t slot = 0; slot < count; ++slot) {
    const bool last = (slot & heads.mask) == heads.mask;  // the device gets it with the first lap's first frame
    heads.descriptors[slot] = {.address = MbufAccess::iova(*slot_memory_[slot]) + path.iova_at,
                               .word = last            ? 0
                                       : slot < size() ? heads.ready
                                                       : bodies.ready};
  }
  return {};
}

void Vmxnet3RxQueue::describe(reg::RxQueueShared& of_device, const Bar& bar, std::uint8_t vector) {
  of_device.ring = {memory_.iova, memory_.iova + size() * sizeof(reg::Descriptor)};
  of_device.ring_size = {size(), size()};
  of_device.completions = memory_.iova + 2 * size() * sizeof(reg::Descriptor);
  of_device.completions_size = mask + 1;
  of_device.vector = vector;
  shared = &of_device;
  queue_bar = bar;
  interrupt_ = Doorbell(bar, reg::IMR::offset(vector));
}

void Vmxnet3RxQueue::open() noexcept {
  open_bursts(rx_burst_function(pool()->has_one_segment()));
  notify_change();
}

std::uint32_t Vmxnet3RxQueue::drain(DrainReason reason, std::span<Mbuf*> kept) noexcept {
  if (buffers_ == 0) return 0;
  const RxDrop why = reason == DrainReason::stopped ? &RxDrops::stopped : &RxDrops::removed;
  const std::uint32_t end = next + mask + 1;
  std::uint32_t bytes = 0;
  Mbuf* head = slot_memory_.front();
  for (std::uint32_t position = next; position != end && fault() == nullptr && is_ready(position); ++position) {
    const reg::Completion completion = completions[position & mask];
    if ((completion.low & reg::rx::kStartOfPacket) != 0) head = heads.slots[completion.low & heads.mask];
    bytes += static_cast<std::uint32_t>(completion.high & reg::rx::kLengthMask);
    if ((completion.low & reg::rx::kEndOfPacket) == 0) continue;
    drop(why, reinterpret_cast<const std::uint8_t*>(head) + Mbuf::kHeaderSize + path.iova_at, std::exchange(bytes, 0));
  }
  return return_buffers(std::span(slot_memory_).first(std::exchange(buffers_, 0)), kept);
}

void Vmxnet3RxQueue::retire() noexcept {
  RxQueueDriver::retire();
  slot_memory_.clear();
  memory_ = {};
}

std::optional<RxDescriptorStatus> Vmxnet3RxQueue::descriptor_status(std::uint32_t offset) const noexcept {
  if (buffers_ == 0 || offset > mask) return std::nullopt;
  return is_ready(next + offset) ? RxDescriptorStatus::done : RxDescriptorStatus::empty;
}

// The device remembers an interrupt that was masked, so frames that were polled meanwhile may wake the thread once.
bool Vmxnet3RxQueue::watch() noexcept {
  if (!has_vector_ || fault() != nullptr || is_ready(next)) return false;
  interrupt_.ring(0);
  interrupt_.flush();
  return !is_ready(next);
}

void Vmxnet3RxQueue::unwatch() noexcept {
  gate_.visit(&idle, [&] {
    interrupt_.ring(1);
    interrupt_.flush();
  });
}

}  // namespace pollux::drivers::vmxnet3
