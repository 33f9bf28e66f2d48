// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/mem/dma_memory.hpp"

#include <utility>

#include "mem/context_state.hpp"

namespace pollux {

DmaMemory::DmaMemory(DmaMemory&& other) noexcept
    : state_(std::move(other.state_)),
      segments_(std::exchange(other.segments_, {})),
      page_size_(std::exchange(other.page_size_, 0)) {}

DmaMemory& DmaMemory::operator=(DmaMemory&& other) noexcept {
  DmaMemory old(std::move(*this));
  state_ = std::move(other.state_);
  segments_ = std::exchange(other.segments_, {});
  page_size_ = std::exchange(other.page_size_, 0);
  return *this;
}

DmaMemory::~DmaMemory() {
  if (state_ != nullptr) state_->release(segments_);
}

std::size_t DmaMemory::size() const noexcept {
  std::size_t sum = 0;
  for (const DmaSegment& segment : segments_) sum += segment.size;
  return sum;
}

std::uint64_t DmaMemory::iova_of(const void* address, std::size_t length) const noexcept {
  const auto at = reinterpret_cast<std::uintptr_t>(address);
  for (const DmaSegment& segment : segments_) {
    const auto start = reinterpret_cast<std::uintptr_t>(segment.address);
    if (at < start || at - start > segment.size) continue;
    const std::size_t offset = at - start;
    // An address at the very end belongs to no byte of this segment, even with a length of 0.
    if (offset < segment.size && length <= segment.size - offset) return segment.iova + offset;
  }
  return kNoIova;
}

}  // namespace pollux
