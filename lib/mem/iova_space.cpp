// SPDX-License-Identifier: BSD-3-Clause
#include "mem/dma_registry.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace pollux {
namespace {

/// Sorts ranges, merges those that overlap or touch, and drops invalid ones: a kernel or an emulator reports them, so
/// they may be in any order and form.
std::vector<IovaRange> normalized(std::span<const IovaRange> ranges) {
  std::vector<IovaRange> sorted;
  for (const IovaRange& range : ranges) {
    if (range.first <= range.last) sorted.push_back(range);
  }
  std::sort(sorted.begin(), sorted.end(), [](const IovaRange& a, const IovaRange& b) { return a.first < b.first; });
  std::vector<IovaRange> merged;
  for (const IovaRange& range : sorted) {
    if (!merged.empty() && (range.first <= merged.back().last || range.first - 1 == merged.back().last)) {
      merged.back().last = std::max(merged.back().last, range.last);
    } else {
      merged.push_back(range);
    }
  }
  return merged;
}

std::vector<IovaRange> always_usable() {
  return {{IovaSpace::kFirst, IovaSpace::kX86Window.first - 1}, {IovaSpace::kX86Window.last + 1, IovaSpace::kLast}};
}

}  // namespace

std::vector<IovaRange> intersect(std::span<const IovaRange> left, std::span<const IovaRange> right) {
  const std::vector<IovaRange> a = normalized(left);
  const std::vector<IovaRange> b = normalized(right);
  std::vector<IovaRange> both;
  for (std::size_t i = 0, j = 0; i < a.size() && j < b.size();) {
    const IovaRange common{std::max(a[i].first, b[j].first), std::min(a[i].last, b[j].last)};
    if (common.first <= common.last) both.push_back(common);
    if (a[i].last < b[j].last) {
      ++i;
    } else {
      ++j;
    }
  }
  return both;
}

bool contains(std::span<const IovaRange> ranges, std::uint64_t first, std::uint64_t size) {
  if (size == 0 || first + (size - 1) < first) return false;
  const std::uint64_t last = first + (size - 1);
  const std::vector<IovaRange> merged = normalized(ranges);
  return std::any_of(merged.begin(), merged.end(),
                     [&](const IovaRange& range) { return range.first <= first && last <= range.last; });
}

IovaSpace::IovaSpace() : usable_(always_usable()) {}

std::vector<IovaRange> IovaSpace::usable_in(std::span<const std::vector<IovaRange>> domains) {
  std::vector<IovaRange> usable = always_usable();
  for (const std::vector<IovaRange>& ranges : domains) usable = intersect(usable, ranges);
  return usable;
}

Result<std::uint64_t> IovaSpace::take(std::uint64_t size, std::uint64_t alignment, std::string owner,
                                      std::uint64_t last) {
  if (size == 0 || alignment == 0 || (alignment & (alignment - 1)) != 0) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("invalid request for {} bytes of IOVA space aligned to {}", size, alignment));
  }
  for (const IovaRange& range : usable_) {
    const std::uint64_t end = std::min(range.last, last);
    std::uint64_t at = range.first;
    auto next = taken_.upper_bound(at);
    if (next != taken_.begin()) {
      const auto before = std::prev(next);
      at = std::max(at, before->first + before->second.size);
    }
    while (true) {
      const std::uint64_t aligned = (at + alignment - 1) & ~(alignment - 1);
      if (aligned < at || aligned > end || size - 1 > end - aligned) break;
      if (next == taken_.end() || aligned + (size - 1) < next->first) {
        taken_.emplace(aligned, Taken{size, std::move(owner)});
        return aligned;
      }
      at = std::max(at, next->first + next->second.size);
      ++next;
    }
  }
  return fail(
      ErrorCode::no_memory,
      fmt::format("no {} KiB of IOVA space are left for {} ({} KiB are in use{})", (size + 1023) / 1024, owner,
                  bytes_taken() / 1024, largest_owner()),
      "free memory, request less, or set ContextOptions::arena_size higher; a device with a small address range "
      "limits all devices of its Context, so it may need a Context of its own");
}

void IovaSpace::release(std::uint64_t first) { taken_.erase(first); }

std::uint64_t IovaSpace::bytes_taken() const noexcept {
  std::uint64_t sum = 0;
  for (const auto& [first, taken] : taken_) sum += taken.size;
  return sum;
}

std::string IovaSpace::largest_owner() const {
  if (taken_.empty()) return {};
  const auto most = std::max_element(taken_.begin(), taken_.end(),
                                     [](const auto& a, const auto& b) { return a.second.size < b.second.size; });
  return fmt::format(", most of it for {}", most->second.owner);
}

}  // namespace pollux
