// SPDX-License-Identifier: BSD-3-Clause
#include "minimal_vmxnet3.hpp"

#include <algorithm>
#include <random>

#include "fixture.hpp"
#include "mem/context_state.hpp"
#include "pollux/base/io.hpp"

namespace pollux::bench {

namespace reg = hw::vmxnet3;

namespace {

constexpr std::uint32_t kRxCompletions = 2 * MinimalVmxnet3::kRing;

template <std::uint32_t Entries>
bool is_done(const reg::Completion& entry, std::uint32_t position) noexcept {
  const bool first_lap = (position & Entries) == 0;
  return ((io::load_acquire(entry.high) & reg::kCompletionGeneration) != 0) == first_lap;
}

// A descriptor's generation in the lap of `position`.
std::uint64_t generation(std::uint32_t position, std::uint64_t bit) noexcept {
  return (position & MinimalVmxnet3::kRing) == 0 ? bit : 0;
}

}  // namespace

MinimalVmxnet3::MinimalVmxnet3(Context& context, const Setup& setup) {
  if (setup.ring != kRing) give_up("the minimal loop on vmxnet3's rings has rings of 512 only");
  memory_ = need(context.allocate({.size = setup.pool * sizeof(Buffer), .purpose = "the minimal loop"}));
  const DmaSegment& segment = memory_.segments().front();
  to_iova_ = segment.iova - reinterpret_cast<std::uintptr_t>(segment.address);
  auto* const buffers = reinterpret_cast<Buffer*>(segment.address);
  for (std::uint32_t i = 0; i < setup.pool; ++i) stack_.push_back(buffers + i);
  std::shuffle(stack_.begin(), stack_.end(), std::mt19937(1));
  top_ = setup.pool;
  set_up(rx_, context, setup, kRxCompletions);
  set_up(tx_, context, setup, kRing);
  for (std::uint32_t slot = 0; slot < kRing; ++slot) {
    rx_.slots[slot] = take();
    rx_.descriptors[slot] = {iova(rx_.slots[slot]), Setup::kBuffer | reg::rx::kGeneration};
  }
}

void MinimalVmxnet3::set_up(Ring& ring, Context& context, const Setup& setup, std::uint32_t completions) {
  const std::size_t bytes = kRing * sizeof(reg::Descriptor) + completions * sizeof(reg::Completion);
  ring.memory = need(drivers::paravirtual::allocate_queue_memory(*context.state(), bytes, -1, "bench"));
  ring.descriptors = ring.memory.at<reg::Descriptor>(0);
  auto* const entries = ring.memory.at<reg::Completion>(kRing * sizeof(reg::Descriptor));
  ring.completions = entries;
  ring.device = FakedVmxnet3Queue({ring.descriptors, entries, kRing, completions, -to_iova_});
  ring.device.set_cold(setup.cold);
}

std::uint64_t MinimalVmxnet3::iova(const Buffer* buffer) const noexcept {
  return reinterpret_cast<std::uintptr_t>(buffer->data.data()) + kFrameAt + to_iova_;
}

// Receiving has no doorbell: the device sees descriptors by their generation.
__attribute__((noinline)) std::uint32_t MinimalVmxnet3::rx_burst(Buffer** buffers, std::uint32_t limit) noexcept {
  if (top_ < limit) return 0;
  Buffer** fresh = stack_.data() + top_;
  std::uint32_t count = 0;
  for (; count < limit; ++count) {
    const std::uint32_t position = rx_.next + count;
    const reg::Completion& entry = rx_.completions[position & (kRxCompletions - 1)];
    if (!is_done<kRxCompletions>(entry, position)) break;
    const std::uint32_t slot = position & kMask;
    Buffer* const buffer = rx_.slots[slot];
    Buffer* const replacement = *--fresh;
    buffer->length = static_cast<std::uint32_t>(entry.high & reg::rx::kLengthMask);
    buffers[count] = buffer;
    rx_.slots[slot] = replacement;
    rx_.descriptors[slot].address = iova(replacement);
    __atomic_store_n(&rx_.descriptors[slot].word, Setup::kBuffer | generation(position + kRing, reg::rx::kGeneration),
                     __ATOMIC_RELEASE);
  }
  top_ -= count;
  rx_.next += count;
  return count;
}

__attribute__((always_inline)) inline void MinimalVmxnet3::clean() noexcept {
  constexpr std::uint32_t kGroup = 32;
  while (tx_.next - tx_.clean >= kGroup) {
    const std::uint32_t last = tx_.clean + kGroup - 1;
    if (!is_done<kRing>(tx_.completions[last & kMask], last)) return;
    std::copy_n(tx_.slots.data() + (tx_.clean & kMask), kGroup, stack_.data() + top_);
    top_ += kGroup;
    tx_.clean += kGroup;
  }
}

__attribute__((noinline)) std::uint32_t MinimalVmxnet3::tx_burst(Buffer* const* buffers, std::uint32_t count) noexcept {
  clean();
  count = std::min(count, kRing - (tx_.next - tx_.clean));
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t position = tx_.next + i;
    Buffer* const buffer = buffers[i];
    tx_.slots[position & kMask] = buffer;
    reg::Descriptor& descriptor = tx_.descriptors[position & kMask];
    descriptor.address = iova(buffer);
    __atomic_store_n(
        &descriptor.word,
        buffer->length | reg::tx::kEndOfPacket | reg::tx::kReport | generation(position, reg::tx::kGeneration),
        __ATOMIC_RELEASE);
  }
  tx_.next += count;
  if (count != 0) tx_.doorbell = tx_.next & kMask;
  return count;
}

}  // namespace pollux::bench
