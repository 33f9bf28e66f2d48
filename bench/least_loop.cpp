// SPDX-License-Identifier: BSD-3-Clause
#include "least_loop.hpp"

#include <algorithm>
#include <random>

#include "hw/igb/registers.hpp"
#include "pollux/base/io.hpp"
#include "rig.hpp"

namespace pollux::bench {

namespace reg = hw::igb;
using hw::igb::Descriptor;

LeastLoop::LeastLoop(Context& context, FakedCard& card) {
  constexpr std::size_t kRingBytes = kRing * sizeof(Descriptor);
  memory_ = need(context.allocate({.size = 2 * kRingBytes + kBuffers * sizeof(Buffer), .purpose = "least loop"}));
  const DmaSegment& segment = memory_.segments().front();
  to_iova_ = segment.iova - reinterpret_cast<std::uintptr_t>(segment.address);
  rx_.descriptors = reinterpret_cast<Descriptor*>(segment.address);
  tx_.descriptors = rx_.descriptors + kRing;
  auto* const buffers = reinterpret_cast<Buffer*>(segment.address + 2 * kRingBytes);
  for (std::uint32_t i = 0; i < kBuffers; ++i) stack_.push_back(buffers + i);
  std::shuffle(stack_.begin(), stack_.end(), std::mt19937(1));
  top_ = kBuffers;
  for (std::uint32_t slot = 0; slot < kRing; ++slot) {
    rx_.slots[slot] = stack_[--top_];
    rx_.descriptors[slot] = {reinterpret_cast<std::uintptr_t>(rx_.slots[slot]->data.data()) + to_iova_, 0};
  }
  const Bar bar = need(card.device()->bar(0));
  bar.write32(reg::RDBAL::offset(0), static_cast<std::uint32_t>(segment.iova));
  bar.write32(reg::RDBAH::offset(0), static_cast<std::uint32_t>(segment.iova >> 32));
  bar.write32(reg::RDLEN::offset(0), kRingBytes);
  bar.write32(reg::TDBAL::offset(0), static_cast<std::uint32_t>(segment.iova + kRingBytes));
  bar.write32(reg::TDBAH::offset(0), static_cast<std::uint32_t>((segment.iova + kRingBytes) >> 32));
  bar.write32(reg::TDLEN::offset(0), kRingBytes);
  bar.write32(reg::TDT::offset(0), 0);
  rx_.tail = bar.mapped(reg::RDT::offset(0));
  tx_.tail = bar.mapped(reg::TDT::offset(0));
  card.restart();
}

__attribute__((noinline)) std::uint32_t LeastLoop::rx_burst(Buffer** buffers, std::uint32_t limit) noexcept {
  if (top_ < limit) return 0;
  std::uint32_t slot = rx_.next;
  std::uint32_t count = 0;
  Buffer** fresh = stack_.data() + top_;
  for (; count < limit; ++count) {
    Descriptor& descriptor = rx_.descriptors[slot];
    const std::uint64_t status = io::load_acquire(descriptor.hi);
    if (!reg::rx::done(status)) break;
    Buffer* const buffer = rx_.slots[slot];
    buffer->length = reg::rx::length(status);
    buffer->status = static_cast<std::uint32_t>(status);
    buffers[count] = buffer;
    Buffer* const replacement = *--fresh;
    rx_.slots[slot] = replacement;
    descriptor = {reinterpret_cast<std::uintptr_t>(replacement->data.data()) + to_iova_, 0};
    slot = (slot + 1) & (kRing - 1);
  }
  top_ -= count;
  if (count != 0) {
    rx_.next = slot;
    io::write32_ordered(rx_.tail, (slot - 1) & (kRing - 1));
  }
  return count;
}

__attribute__((noinline)) std::uint32_t LeastLoop::tx_burst(Buffer* const* buffers, std::uint32_t count) noexcept {
  constexpr std::uint32_t kGroup = 32;
  constexpr std::uint64_t kCommand = reg::tx::kData | reg::tx::kEndOfPacket | reg::tx::kReportStatus;
  std::uint32_t clean = tx_.clean;
  std::uint32_t used = (tx_.next - clean) & (kRing - 1);
  while (used >= kGroup && reg::tx::done(io::load_acquire(tx_.descriptors[(clean + kGroup - 1) & (kRing - 1)].hi))) {
    std::copy_n(tx_.slots.data() + clean, kGroup, stack_.data() + top_);
    top_ += kGroup;
    clean = (clean + kGroup) & (kRing - 1);
    used -= kGroup;
  }
  tx_.clean = clean;
  count = std::min(count, kRing - 1 - used);
  std::uint32_t slot = tx_.next;
  for (std::uint32_t i = 0; i < count; ++i) {
    tx_.slots[slot] = buffers[i];
    const std::uint64_t length = buffers[i]->length;
    tx_.descriptors[slot] = {reinterpret_cast<std::uintptr_t>(buffers[i]->data.data()) + to_iova_,
                             kCommand | length | length << reg::tx::kPayloadShift};
    slot = (slot + 1) & (kRing - 1);
  }
  tx_.next = slot;
  io::write32_ordered(tx_.tail, slot);
  return count;
}

}  // namespace pollux::bench
