// SPDX-License-Identifier: BSD-3-Clause
#include "mem/dma_registry.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <new>
#include <utility>

namespace pollux {
namespace {

std::uintptr_t number(const std::byte* address) { return reinterpret_cast<std::uintptr_t>(address); }

std::string describe(const DmaSegment& segment) {
  return fmt::format("{} at IOVA {:#x}", readable_size(segment.size), segment.iova);
}

std::string describe(const DmaRegion& region) {
  return fmt::format("{} at IOVA {:#x}", readable_size(region.size()), region.segments.front().iova);
}

/// Returns false and logs an error if the domain cannot unmap the segment, or if no memory is left to find out.
bool unmap(DmaDomain& domain, const DmaSegment& segment, PendingLog& log) {
  try {
    Result<void> unmapped = domain.unmap(segment);
    if (unmapped) return true;
    log.emplace_back(LogLevel::error, fmt::format("{} could not be unmapped from {}: {}", describe(segment),
                                                  domain.name(), unmapped.error().message()));
  } catch (const std::bad_alloc&) {
  }
  return false;
}

bool unmap(DmaDomain& domain, std::span<const DmaSegment> segments, PendingLog& log) {
  bool free = true;
  for (const DmaSegment& segment : segments) free = unmap(domain, segment, log) && free;
  return free;
}

/// Maps all segments or none. Sets `stuck` if the domain cannot unmap what it has mapped before a segment that failed.
Result<void> map(DmaDomain& domain, std::span<const DmaSegment> segments, PendingLog& log, bool& stuck) {
  std::size_t done = 0;
  const auto undo = [&] {
    if (!unmap(domain, segments.first(done), log)) stuck = true;
  };
  try {
    for (; done < segments.size(); ++done) {
      Result<void> mapped = domain.map(segments[done]);
      if (mapped) continue;
      undo();
      return mapped;
    }
  } catch (const std::bad_alloc&) {
    undo();
    throw;
  }
  return {};
}

/// The alignment of the IOVA that lets an IOMMU use the largest pages that `memory` may contain.
std::uint64_t natural_alignment(std::span<std::byte> memory) {
  const std::uint64_t address_bit = std::uint64_t{1} << std::countr_zero(number(memory.data()));
  return std::min({address_bit, std::bit_floor(std::uint64_t{memory.size()}), std::uint64_t{Arena::kGranule}});
}

}  // namespace

Result<DmaRegion> DmaRegistry::allocate(const DmaRequest& request, PendingLog& log) {
  Result<DmaRegion> region = pages_.take(request, iova_, physical_ == nullptr ? PageKind::any : PageKind::huge, log);
  if (!region) return region;
  if (auto placed = use_physical_addresses(*region); !placed) return pass_on(std::move(placed));
  if (auto added = add(*region, log); !added) return pass_on(std::move(added));
  return region;
}

/// Gives the segments of a region their physical addresses as IOVAs, if a domain needs that. If it fails, the region is
/// given back.
Result<void> DmaRegistry::use_physical_addresses(DmaRegion& region) {
  if (physical_ == nullptr) return {};
  try {
    auto segments = physical_segments(*physical_, region);
    if (!segments) {
      give_back(region);
      return pass_on(std::move(segments));
    }
    region.segments = *std::move(segments);
    return {};
  } catch (const std::bad_alloc&) {
    give_back(region);
    throw;
  }
}

Result<DmaRegion> DmaRegistry::register_memory(std::span<std::byte> memory, PendingLog& log) {
  if (auto free = check_free(memory); !free) return pass_on(std::move(free));
  if (physical_ != nullptr) {
    return fail(ErrorCode::not_supported,
                "the application's own memory cannot be registered: a device of this Context uses physical "
                "addresses, which only huge pages from the Context keep",
                "let the Context allocate the memory, or use the device with an IOMMU");
  }
  Result<std::uint64_t> iova = iova_.take(memory.size(), natural_alignment(memory), "registered memory");
  if (!iova) return pass_on(std::move(iova));
  DmaRegion region{.segments = {}, .place = *iova, .page_size = ordinary_page_size(), .own = false};
  try {
    region.segments.push_back({.address = memory.data(), .iova = *iova, .size = memory.size()});
  } catch (const std::bad_alloc&) {
    give_back(region);
    throw;
  }
  if (auto added = add(region, log); !added) return pass_on(std::move(added));
  return region;
}

void DmaRegistry::release(std::span<const DmaSegment> segments, PendingLog& log) {
  if (segments.empty()) return;
  const auto found = std::find_if(regions_.begin(), regions_.end(), [&](const DmaRegion& region) {
    return region.address() == segments.front().address;
  });
  if (found == regions_.end()) return;
  DmaRegion region = std::move(*found);
  regions_.erase(found);
  bool free = true;
  for (const auto& domain : domains_) free = unmap(*domain, region.segments, log) && free;
  update_physical_addressing();
  if (free) give_back(region);
}

// Pieces that are adjacent in the process are adjacent in the file, too.
std::optional<FilePlace> DmaRegistry::place_of(const std::byte* first, std::size_t bytes) const {
  std::optional<FilePlace> place;
  std::size_t found = 0;
  for (const DmaRegion& region : regions_) {
    const std::byte* const from = std::max<const std::byte*>(first, region.address());
    const std::byte* const to = std::min<const std::byte*>(first + bytes, region.address() + region.size());
    if (from >= to) continue;
    const int file = region.own ? arena().descriptor(region.page_size) : -1;
    if (file < 0 || (place && place->file != file)) return std::nullopt;
    found += static_cast<std::size_t>(to - from);
    const std::uint64_t offset = region.place - static_cast<std::uint64_t>(region.address() - first);
    place = FilePlace{file, offset};
  }
  return found == bytes ? place : std::nullopt;
}

/// Frees a region that no domain maps.
void DmaRegistry::give_back(DmaRegion& region) {
  unlock_pages(region);
  if (region.own) {
    pages_.give_back(region, iova_);
  } else {
    iova_.release(region.place);
  }
}

Result<void> DmaRegistry::attach(std::shared_ptr<DmaDomain> domain, PendingLog& log) {
  if (domain == nullptr) return fail(ErrorCode::invalid_argument, "a null DMA domain cannot be attached");
  if (std::find(domains_.begin(), domains_.end(), domain) != domains_.end()) {
    return fail(ErrorCode::bad_state, fmt::format("{} is attached already", domain->name()));
  }
  if (auto physical = check_physical(*domain); !physical) return physical;
  const std::vector<IovaRange> ranges = domain->usable_iova();
  if (auto reachable = check_usable_iova(*domain, ranges); !reachable) return reachable;
  std::vector<IovaRange> usable = intersect(common_iova_ranges(), ranges);
  domains_.reserve(domains_.size() + 1);
  const bool lock = domain->wants_locked_pages() && !wants_locked_pages();
  if (lock) {
    if (auto locked = lock_all(); !locked) return locked;
  }
  if (auto mapped = map_all(*domain, log); !mapped) {
    if (lock) unlock_all();
    return mapped;
  }
  domains_.push_back(std::move(domain));
  update_physical_addressing();
  iova_.restrict_to(std::move(usable));
  return {};
}

std::shared_ptr<DmaDomain> DmaRegistry::detach(const DmaDomain& domain, PendingLog& log) {
  const auto found =
      std::find_if(domains_.begin(), domains_.end(), [&](const auto& held) { return held.get() == &domain; });
  if (found == domains_.end()) return nullptr;
  std::shared_ptr<DmaDomain> held = *found;
  domains_.erase(found);
  for (const DmaRegion& region : regions_) static_cast<void>(unmap(*held, region.segments, log));
  if (held->wants_locked_pages() && !wants_locked_pages()) unlock_all();
  update_physical_addressing();
  try {
    iova_.restrict_to(common_iova_ranges());
  } catch (const std::bad_alloc&) {  // the usable ranges stay narrower than necessary, which is safe
  }
  return held;
}

/// Maps the region into every domain. If that fails, the region is unmapped and given back. If a domain cannot unmap
/// it, the region is never used again, since a device may still write to it.
Result<void> DmaRegistry::add(DmaRegion& region, PendingLog& log) {
  std::size_t domains = 0;
  bool stuck = false;
  const auto undo = [&] {
    while (domains-- > 0) {
      if (!unmap(*domains_[domains], region.segments, log)) stuck = true;
    }
    if (!stuck) give_back(region);
  };
  try {
    Result<void> added = lock_and_map(region, log, domains, stuck);
    if (!added) undo();
    return added;
  } catch (const std::bad_alloc&) {
    undo();
    throw;
  }
}

/// Counts the domains that have mapped the region in `domains`.
Result<void> DmaRegistry::lock_and_map(DmaRegion& region, PendingLog& log, std::size_t& domains, bool& stuck) {
  regions_.reserve(regions_.size() + 1);
  if (wants_locked_pages() && needs_lock(region)) {
    if (auto locked = lock_pages(region); !locked) return locked;
  }
  DmaRegion kept = region;
  for (; domains < domains_.size(); ++domains) {
    if (auto mapped = map(*domains_[domains], region.segments, log, stuck); !mapped) return mapped;
  }
  regions_.push_back(std::move(kept));
  return {};
}

Result<void> DmaRegistry::check_free(std::span<std::byte> memory) const {
  const std::size_t page = ordinary_page_size();
  if (memory.empty() || number(memory.data()) % page != 0 || memory.size() % page != 0) {
    return fail(
        ErrorCode::invalid_argument,
        fmt::format("{} bytes at {} are not whole pages of {} bytes", memory.size(), fmt::ptr(memory.data()), page),
        "take the memory from mmap or std::aligned_alloc");
  }
  const std::uintptr_t first = number(memory.data());
  if (first + (memory.size() - 1) < first)
    return fail(ErrorCode::invalid_argument, "memory to register wraps the address space");
  for (const DmaRegion& region : regions_) {
    const std::uintptr_t start = number(region.address());
    if (first >= start + region.size() || start >= first + memory.size()) continue;
    return fail(ErrorCode::invalid_argument,
                fmt::format("{} bytes at {} overlap DMA memory that exists already: {} at {}", memory.size(),
                            fmt::ptr(memory.data()), readable_size(region.size()), fmt::ptr(region.address())),
                "keep the DmaMemory of the first registration and use that");
  }
  return {};
}

Result<void> DmaRegistry::check_usable_iova(const DmaDomain& domain, const std::vector<IovaRange>& ranges) const {
  for (const DmaRegion& region : regions_) {
    if (std::all_of(region.segments.begin(), region.segments.end(),
                    [&](const DmaSegment& segment) { return contains(ranges, segment.iova, segment.size); })) {
      continue;
    }
    return fail(ErrorCode::not_supported,
                fmt::format("{} cannot reach existing memory: {}", domain.name(), describe(region)),
                "open this device before memory is allocated, or give it a Context of its own");
  }
  if (intersect(iova_.usable(), ranges).empty()) {
    return fail(ErrorCode::not_supported,
                fmt::format("{} has no IOVA range in common with the devices of this Context", domain.name()),
                "give the device a Context of its own");
  }
  return {};
}

/// Allocated memory keeps its IOVAs.
Result<void> DmaRegistry::check_physical(const DmaDomain& domain) const {
  if (domain.physical_addresses() == nullptr || physical_ != nullptr || regions_.empty()) return {};
  return fail(ErrorCode::not_supported,
              fmt::format("{} uses physical addresses, but existing memory has other IOVAs: {}", domain.name(),
                          describe(regions_.front())),
              "open this device before pools are created and memory is allocated, or give it a Context of its own");
}

// The regions stay in use, so it does not matter here whether a domain that fails can unmap them. Its mappings end with
// the device that could not attach it.
Result<void> DmaRegistry::map_all(DmaDomain& domain, PendingLog& log) const {
  bool stuck = false;
  for (std::size_t i = 0; i < regions_.size(); ++i) {
    Result<void> mapped = map(domain, regions_[i].segments, log, stuck);
    if (mapped) continue;
    while (i-- > 0) static_cast<void>(unmap(domain, regions_[i].segments, log));
    return mapped;
  }
  return {};
}

/// Locks all regions that need it, or none. Called only while no domain wants locked pages yet.
Result<void> DmaRegistry::lock_all() {
  for (DmaRegion& region : regions_) {
    if (!needs_lock(region)) continue;
    if (auto locked = lock_pages(region); !locked) {
      unlock_all();
      return locked;
    }
  }
  return {};
}

void DmaRegistry::unlock_all() {
  for (DmaRegion& region : regions_) unlock_pages(region);
}

bool DmaRegistry::wants_locked_pages() const {
  return std::any_of(domains_.begin(), domains_.end(), [](const auto& domain) { return domain->wants_locked_pages(); });
}

void DmaRegistry::update_physical_addressing() {
  for (const auto& domain : domains_) {
    if (physical_ == nullptr) physical_ = domain->physical_addresses();
  }
  const bool wanted = std::any_of(domains_.begin(), domains_.end(),
                                  [](const auto& domain) { return domain->physical_addresses() != nullptr; });
  if (!wanted && regions_.empty()) physical_ = nullptr;
}

std::vector<IovaRange> DmaRegistry::common_iova_ranges() const {
  std::vector<std::vector<IovaRange>> ranges;
  for (const auto& domain : domains_) ranges.push_back(domain->usable_iova());
  return IovaSpace::usable_in(ranges);
}

std::vector<IovaRange> DmaRegistry::used_iova() const {
  std::vector<IovaRange> used;
  for (const DmaRegion& region : regions_) {
    for (const DmaSegment& segment : region.segments) used.push_back({segment.iova, segment.iova + (segment.size - 1)});
  }
  return intersect(used, used);
}

}  // namespace pollux
