// SPDX-License-Identifier: BSD-3-Clause
#include "mem/dma_registry.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <utility>

#include "mem/huge_pages.hpp"

namespace pollux {
namespace {

std::uint64_t pages_for(std::size_t size, std::size_t page_size) { return (size + page_size - 1) / page_size; }

std::string describe(const DmaRequest& request) {
  return fmt::format("{} ({})", request.purpose.empty() ? "DMA memory" : request.purpose, readable_size(request.size));
}

}  // namespace

std::size_t ordinary_page_size() { return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)); }

PageAllocator::PageAllocator(const Options& options, HugePagePaths paths)
    : options_(options), arena_(options.arena_size), source_(std::move(paths)) {}

Result<DmaRegion> PageAllocator::take(const DmaRequest& request, IovaSpace& iova, PageKind kind, PendingLog& log) {
  if (auto reserved = arena_.reserve(); !reserved) return pass_on(std::move(reserved));
  if (request.size == 0 || request.size > arena_.size()) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{} cannot be allocated: 1 to {} bytes of DMA memory are possible", describe(request),
                            arena_.size()),
                "request less or set ContextOptions::arena_size higher");
  }
  if (auto node = numa::check_node(request.numa_node); !node) return pass_on(std::move(node));
  const auto take_ordinary = [&] {
    DmaRequest resized = request;
    if (request.ordinary_size != 0) resized.size = request.ordinary_size;
    return place(resized, ordinary_page_size(), iova);
  };
  const bool only_huge = kind == PageKind::huge;
  if (only_huge && options_.huge_pages == HugePages::never) {
    return fail(ErrorCode::not_supported,
                fmt::format("{} cannot use ordinary pages: a device of this Context uses physical addresses, and "
                            "the kernel may move such pages",
                            describe(request)),
                "set ContextOptions::huge_pages to HugePages::prefer or HugePages::require");
  }
  if (options_.huge_pages != HugePages::never) {
    Shortage shortage;
    Result<DmaRegion> huge = take_huge(request, iova, shortage);
    const bool huge_required = only_huge || options_.huge_pages == HugePages::require;
    if (huge || huge.error().code != ErrorCode::no_memory || huge_required) return huge;
    Result<DmaRegion> ordinary = take_ordinary();
    if (ordinary) warn_once(request, shortage, log);
    return ordinary;
  }
  return take_ordinary();
}

void PageAllocator::give_back(const DmaRegion& region, IovaSpace& iova) {
  if (keeps_pages_) return;
  arena_.remove(region.page_size, region.place, region.size());
  iova.release(region.place);
}

Result<DmaRegion> PageAllocator::take_huge(const DmaRequest& request, IovaSpace& iova, Shortage& shortage) {
  const std::vector<HugePagePool> pools = source_.pools(request.numa_node);
  shortage = explain(request, pools);
  for (const HugePagePool& pool : pools) {
    const bool wanted = options_.huge_page_size == 0 || options_.huge_page_size == pool.page_size;
    if (!wanted || pool.page_size > Arena::kGranule) continue;
    if (pool.available < pages_for(request.size, pool.page_size)) continue;
    Result<DmaRegion> region = place(request, pool.page_size, iova);
    if (region) return region;
    const ErrorCode code = region.error().code;
    if (code != ErrorCode::no_memory && code != ErrorCode::not_supported) return region;
    // Pages were counted as free but could not be allocated: a control group's limit, another process was faster, or no
    // IOVA range is left.
    shortage.reason = std::move(region).error().what;
  }
  return fail(ErrorCode::no_memory, fmt::format("no huge pages for {}: {}", describe(request), shortage.reason),
              shortage.remedy);
}

Result<DmaRegion> PageAllocator::place(const DmaRequest& request, std::size_t page_size, IovaSpace& iova) {
  if (!arena_.has_file(page_size)) {
    Result<FileDescriptor> file =
        page_size == ordinary_page_size() ? open_memory_file(0) : source_.open_file(page_size);
    if (!file) return pass_on(std::move(file));
    if (auto added = arena_.add_file(page_size, *std::move(file)); !added) return pass_on(std::move(added));
  }
  const std::size_t size = pages_for(request.size, page_size) * page_size;
  DmaRegion region;
  region.segments.resize(1);  // allocated first, since there is nothing to undo yet if this fails
  Result<std::uint64_t> at = iova.take(size, page_size, describe(request), arena_.size() - 1);
  if (!at) return pass_on(std::move(at));
  Result<std::byte*> address = arena_.place(page_size, *at, size, request.numa_node);
  if (!address) {
    iova.release(*at);
    return pass_on(std::move(address));
  }
  region.segments[0] = {.address = *address, .iova = *at, .size = size};
  region.place = *at;
  region.page_size = page_size;
  return region;
}

PageAllocator::Shortage PageAllocator::explain(const DmaRequest& request,
                                               const std::vector<HugePagePool>& pools) const {
  std::string sizes;
  for (const HugePagePool& pool : pools) {
    sizes += (sizes.empty() ? "" : ", ") + readable_size(pool.page_size);
    if (options_.huge_page_size != 0 && options_.huge_page_size != pool.page_size) continue;
    const std::uint64_t needed = pages_for(request.size, pool.page_size);
    const std::uint64_t missing = needed - std::min(needed, pool.available);
    const std::string where = request.numa_node < 0 ? "" : fmt::format(" on NUMA node {}", request.numa_node);
    return {.reason = fmt::format("there are too few pages of {} ({} needed, {} free{})", readable_size(pool.page_size),
                                  needed, pool.available, where),
            .remedy = fmt::format("as root: {}", source_.command_for(pool, missing, request.numa_node)),
            .page_size = pool.page_size};
  }
  if (pools.empty()) {
    return {.reason = "this kernel has no huge pages",
            .remedy = "boot a kernel with CONFIG_HUGETLBFS, or set HugePages::never"};
  }
  return {.reason = fmt::format("this machine has no huge pages of {} bytes", options_.huge_page_size),
          .remedy = fmt::format("set ContextOptions::huge_page_size to 0 or to one of {}", sizes)};
}

void PageAllocator::warn_once(const DmaRequest& request, const Shortage& shortage, PendingLog& log) {
  const std::size_t ordinary = ordinary_page_size();
  if (request.size <= ordinary || std::exchange(warned_, true)) return;  // one page is one page
  const std::string mappings = shortage.page_size == 0
                                   ? ""
                                   : fmt::format(" ({} pages instead of {})", pages_for(request.size, ordinary),
                                                 pages_for(request.size, shortage.page_size));
  log.emplace_back(
      LogLevel::warning,
      fmt::format("{} uses ordinary pages of {}, since {}; this causes TLB misses, pins memory one page at a time and "
                  "takes more IOMMU mappings{}. To get huge pages, {} (logged once)",
                  describe(request), readable_size(ordinary), shortage.reason, mappings, shortage.remedy));
}

}  // namespace pollux
