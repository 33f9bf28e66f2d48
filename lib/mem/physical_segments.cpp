// SPDX-License-Identifier: BSD-3-Clause
#include "mem/physical_segments.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace pollux {
namespace {

bool overlaps(const DmaSegment& segment, std::uint64_t first, std::size_t size) {
  return first < segment.iova + segment.size && segment.iova < first + size;
}

}  // namespace

Result<std::vector<DmaSegment>> physical_segments(const PhysicalAddresses& addresses, const DmaRegion& region) {
  const std::size_t page = region.page_size;
  const std::size_t size = region.size();
  std::vector<DmaSegment> segments;
  for (std::size_t at = 0; at < size; at += page) {
    auto found = addresses.find(region.address() + at);
    if (!found) return pass_on(std::move(found));
    const bool taken = std::any_of(segments.begin(), segments.end(),
                                   [&](const DmaSegment& segment) { return overlaps(segment, *found, page); });
    if (*found % page != 0 || *found + page < *found || taken) {
      return fail(ErrorCode::device_fault,
                  fmt::format("the kernel reports an impossible physical address for a page of {} KiB: {:#x}",
                              page / 1024, *found),
                  "report this with the kernel's version: uname -r");
    }
    if (!segments.empty() && segments.back().iova + segments.back().size == *found) {
      segments.back().size += page;
    } else {
      segments.push_back({.address = region.address() + at, .iova = *found, .size = page});
    }
  }
  return segments;
}

}  // namespace pollux
