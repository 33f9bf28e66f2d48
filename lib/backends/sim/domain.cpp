// SPDX-License-Identifier: BSD-3-Clause
#include "backends/sim/domain.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace pollux::sim {
namespace {

/// Avoids iova + length, which could wrap.
bool covers(const DmaSegment& segment, std::uint64_t iova, std::size_t length) noexcept {
  return iova >= segment.iova && length <= segment.size && iova - segment.iova <= segment.size - length;
}

}  // namespace

std::vector<IovaRange> Domain::usable_iova() const {
  // The ranges of a type1 container with a 48-bit IOMMU: all but the window of interrupt messages.
  return {{0, 0xFEDFFFFF}, {0xFEF00000, (std::uint64_t{1} << 48) - 1}};
}

Result<void> Domain::map(const DmaSegment& segment) {
  const std::lock_guard guard(*lock_);
  const auto after = segments_.upper_bound(segment.iova);
  const bool runs_into_next = after != segments_.end() && after->first - segment.iova < segment.size;
  const bool lies_in_previous =
      after != segments_.begin() && segment.iova - std::prev(after)->first < std::prev(after)->second.size;
  if (segment.size == 0 || runs_into_next || lies_in_previous) {
    return fail(ErrorCode::invalid_argument, fmt::format("sim domain: {:#x} is already mapped", segment.iova));
  }
  segments_.emplace(segment.iova, segment);
  return {};
}

Result<void> Domain::unmap(const DmaSegment& segment) {
  const std::lock_guard guard(*lock_);
  const auto found = segments_.find(segment.iova);
  if (found == segments_.end() || found->second.size != segment.size) {
    return fail(ErrorCode::not_found, fmt::format("sim domain: nothing of that size is mapped at {:#x}", segment.iova));
  }
  segments_.erase(found);
  recent_ = {};
  return {};
}

std::string Domain::take_report() {
  const std::lock_guard guard(*lock_);
  const std::uint64_t count = refused() - reported_.exchange(refused(), std::memory_order_relaxed);
  return fmt::format("{} accesses to unmapped memory were refused; the last one had {} bytes at {:#x}", count,
                     refused_length_, refused_iova_);
}

std::size_t Domain::contiguous(std::uint64_t iova, std::size_t length) const noexcept {
  for (const DmaSegment& segment : recent_) {
    if (covers(segment, iova, length)) return length;
  }
  const auto after = segments_.upper_bound(iova);
  if (after == segments_.begin()) return length;
  const DmaSegment& segment = std::prev(after)->second;
  const std::uint64_t offset = iova - segment.iova;
  if (offset >= segment.size) return length;
  return static_cast<std::size_t>(std::min<std::uint64_t>(length, segment.size - offset));
}

std::byte* Domain::find(std::uint64_t iova, std::size_t length, bool writes) noexcept {
  const auto allows = [&](const DmaSegment& segment) {
    return covers(segment, iova, length) && (segment.writable || !writes);
  };
  for (const DmaSegment& segment : recent_) {
    if (allows(segment)) return segment.address + (iova - segment.iova);
  }
  const auto after = segments_.upper_bound(iova);
  if (after == segments_.begin() || !allows(std::prev(after)->second)) {
    refused_iova_ = iova;
    refused_length_ = length;
    refused_.fetch_add(1, std::memory_order_relaxed);
    return nullptr;
  }
  const DmaSegment& segment = std::prev(after)->second;
  recent_[oldest_] = segment;
  oldest_ = (oldest_ + 1) % recent_.size();
  return segment.address + (iova - segment.iova);
}

}  // namespace pollux::sim
