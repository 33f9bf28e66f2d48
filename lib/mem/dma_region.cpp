// SPDX-License-Identifier: BSD-3-Clause
#include "mem/dma_region.hpp"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <fstream>

#include "mem/context_state.hpp"
#include "pollux/mem/dma_memory.hpp"

namespace pollux {
namespace {

/// KiB that this process has locked: VmLck in /proc/self/status.
std::uint64_t locked_kibibytes() {
  std::ifstream status("/proc/self/status");
  std::string word;
  std::uint64_t kibibytes = 0;
  while (status >> word) {
    if (word == "VmLck:") return status >> kibibytes ? kibibytes : 0;
  }
  return 0;
}

bool overlaps(const DmaSegment& segment, std::uint64_t first, std::size_t size) {
  return first < segment.iova + segment.size && segment.iova < first + size;
}

}  // namespace

bool needs_lock(const DmaRegion& region) { return region.page_size == ordinary_page_size(); }

Result<void> lock_pages(DmaRegion& region) {
  const std::uint64_t before = locked_kibibytes();
  if (::mlock(region.address(), region.size()) == 0) {
    region.locked = locked_kibibytes() == before + region.size() / 1024;
    return {};
  }
  const int error = errno;
  rlimit limit{};
  static_cast<void>(::getrlimit(RLIMIT_MEMLOCK, &limit));
  const std::uint64_t needed = before + region.size() / 1024;
  const std::string what = fmt::format("{} KiB of DMA memory could not be locked", region.size() / 1024);
  const bool limited = error == EPERM || (error == ENOMEM && needed > limit.rlim_cur / 1024);
  if (!limited)
    return fail_errno(ErrorCode::no_memory, what, error,
                      "check that the memory is mapped and that the machine has enough free memory");
  return fail(ErrorCode::memlock_too_small,
              fmt::format("{}: RLIMIT_MEMLOCK is {} KiB and {} KiB are needed", what, limit.rlim_cur / 1024, needed),
              fmt::format("raise the limit to at least {0} KiB before the start: `ulimit -l {0}`, memlock in "
                          "/etc/security/limits.conf, or LimitMEMLOCK={0}K for a systemd unit; huge pages need none",
                          needed));
}

void unlock_pages(DmaRegion& region) {
  if (region.locked) ::munlock(region.address(), region.size());
  region.locked = false;
}

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

DmaMemory::DmaMemory(DmaMemory&& other) noexcept
    : state_(std::move(other.state_)),
      segments_(std::exchange(other.segments_, {})),
      page_size_(std::exchange(other.page_size_, 0)) {}

DmaMemory& DmaMemory::operator=(DmaMemory&& other) noexcept {
  DmaMemory taken(std::move(other));  // `other` may be this memory
  std::swap(state_, taken.state_);
  std::swap(segments_, taken.segments_);
  std::swap(page_size_, taken.page_size_);
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
