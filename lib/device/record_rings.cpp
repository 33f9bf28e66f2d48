// SPDX-License-Identifier: BSD-3-Clause
#include "device/record_rings.hpp"

#include <fmt/format.h>

namespace pollux {

Result<void> MemoryMap::map(const DmaSegment& segment) {
  const std::lock_guard lock(mutex_);
  segments_[segment.iova] = segment;
  return {};
}

Result<void> MemoryMap::unmap(const DmaSegment& segment) {
  const std::lock_guard lock(mutex_);
  segments_.erase(segment.iova);
  return {};
}

std::byte* MemoryMap::at(std::uint64_t iova, std::size_t bytes) const {
  const std::lock_guard lock(mutex_);
  const auto after = segments_.upper_bound(iova);
  if (after == segments_.begin()) return nullptr;
  const DmaSegment& segment = std::prev(after)->second;
  const std::uint64_t from = iova - segment.iova;
  if (from >= segment.size || bytes > segment.size - from) return nullptr;
  return segment.address + from;
}

Result<void> check_layout(const CardLayout& layout) {
  constexpr std::uint32_t kWord = sizeof(std::uint64_t);
  constexpr std::uint32_t kMost = RawDescriptor{}.words.size() * kWord;
  for (const RingRegisters& ring : layout.rings) {
    const std::uint32_t bytes = ring.descriptor_bytes;
    if (bytes != 0 && bytes % kWord == 0 && bytes <= kMost) continue;
    return fail(ErrorCode::invalid_argument, fmt::format("the card's layout has descriptors of {} bytes", bytes),
                fmt::format("set RingRegisters::descriptor_bytes to a multiple of {}, at most {}", kWord, kMost));
  }
  return {};
}

std::optional<RingRegister> find_ring_register(const CardLayout& layout, std::uint32_t offset) noexcept {
  for (std::size_t kind = 0; kind < layout.rings.size(); ++kind) {
    const RingRegisters& ring = layout.rings[kind];
    const auto found = [&](std::uint32_t first, RingRegister::Role role) -> std::optional<RingRegister> {
      const std::uint32_t distance = offset - first;
      if (offset < first || distance % ring.stride != 0 || distance / ring.stride >= ring.queues) return std::nullopt;
      return RingRegister{role, static_cast<std::uint8_t>(kind), static_cast<std::uint16_t>(distance / ring.stride)};
    };
    if (const auto tail = found(ring.tail, RingRegister::Role::tail)) return tail;
    if (const auto low = found(ring.base_low, RingRegister::Role::base_low)) return low;
    if (const auto high = found(ring.base_high, RingRegister::Role::base_high)) return high;
    if (const auto buffer = found(ring.buffer, RingRegister::Role::buffer); buffer && ring.buffer != 0) return buffer;
    if (const auto length = found(ring.length, RingRegister::Role::length)) return length;
  }
  return std::nullopt;
}

void DriverRing::write(RingRegister::Role role, std::uint32_t value) noexcept {
  if (role == RingRegister::Role::buffer) {
    buffer_ = value;
    return;
  }
  if (role == RingRegister::Role::base_low) base_low_ = value;
  if (role == RingRegister::Role::base_high) base_high_ = value;
  if (role == RingRegister::Role::length) length_ = value;
  armed_ = {};
  tail_ = 0;
}

bool DriverRing::locate(const MemoryMap& memory, std::uint32_t max_descriptors) {
  if (is_ready()) return true;
  const std::size_t count = length_ / descriptor_bytes_;
  const std::uint64_t base = std::uint64_t{base_high_} << 32 | base_low_;
  if (count == 0 || count > max_descriptors || base % sizeof(std::uint64_t) != 0) return false;
  std::byte* const first = memory.at(base, count * descriptor_bytes_);
  if (first == nullptr) return false;
  descriptors_ = DescriptorArray(first, descriptor_bytes_);
  armed_.assign(count, {});
  return true;
}

RawDescriptor DescriptorArray::load(std::size_t slot) const noexcept {
  RawDescriptor descriptor;
  const std::uint64_t* const from = words_ + slot * count_;
  for (std::size_t i = count_; i-- > 0;) descriptor.words[i] = __atomic_load_n(from + i, __ATOMIC_ACQUIRE);
  return descriptor;
}

void DescriptorArray::store(std::size_t slot, const RawDescriptor& descriptor) noexcept {
  std::uint64_t* const to = words_ + slot * count_;
  for (std::size_t i = 0; i < count_; ++i) __atomic_store_n(to + i, descriptor.words[i], __ATOMIC_RELEASE);
}

}  // namespace pollux
