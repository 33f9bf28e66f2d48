// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "mem/arena.hpp"
#include "mem/dma_region.hpp"
#include "mem/huge_pages.hpp"
#include "mem/iova_space.hpp"
#include "pollux/base/error.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/mem/dma_domain.hpp"

namespace pollux {

enum class PageKind {
  any,   ///< huge or ordinary pages, as the Context's options say
  huge,  ///< huge pages only, since ordinary pages may move in physical memory
};

/// Decides which pages a request gets and at which IOVA: huge pages if the Context's options allow them, else ordinary
/// pages.
class PageAllocator {
 public:
  struct Options {
    HugePages huge_pages = HugePages::prefer;
    std::size_t huge_page_size = 0;  ///< bytes; 0: the smallest size that has enough free pages
    std::size_t arena_size = 0;      ///< bytes
  };

  PageAllocator(const Options& options, HugePagePaths paths);

  /// Allocates zeroed, populated memory in one segment, at an IOVA from `iova`. Warns once if it falls back to ordinary
  /// pages.
  /// Errors: invalid_argument (size, node), no_memory, not_supported (`kind` is huge, but the options forbid huge
  /// pages).
  [[nodiscard]] Result<DmaRegion> take(const DmaRequest& request, IovaSpace& iova, PageKind kind, PendingLog& log);
  void give_back(const DmaRegion& region, IovaSpace& iova);
  [[nodiscard]] const Arena& arena() const noexcept { return arena_; }

 private:
  /// Why there are no huge pages for a request, and the command that adds them.
  struct Shortage {
    std::string reason;
    std::string remedy;
    std::size_t page_size = 0;  ///< bytes of the huge pages that were tried; 0 if there are none
  };

  [[nodiscard]] Result<DmaRegion> take_huge(const DmaRequest& request, IovaSpace& iova, Shortage& shortage);
  [[nodiscard]] Result<DmaRegion> place(const DmaRequest& request, std::size_t page_size, IovaSpace& iova);
  [[nodiscard]] Shortage explain(const DmaRequest& request, const std::vector<HugePagePool>& pools) const;
  void warn_once(const DmaRequest& request, const Shortage& shortage, PendingLog& log);

  Options options_;
  Arena arena_;
  HugePageSource source_;
  bool warned_ = false;
};

/// All DMA memory and all domains that it is mapped into. A region is mapped into every domain at the same IOVA, or
/// into none. Functions that allocate do so before they change anything, so std::bad_alloc leaves everything as it was;
/// `release` and `detach` do not fail if no memory is left.
/// Thread rule: one thread at a time.
class DmaRegistry {
 public:
  DmaRegistry(const PageAllocator::Options& options, HugePagePaths paths) : pages_(options, std::move(paths)) {}

  [[nodiscard]] Result<DmaRegion> allocate(const DmaRequest& request, PendingLog& log);
  [[nodiscard]] Result<DmaRegion> register_memory(std::span<std::byte> memory, PendingLog& log);
  /// Unmaps a region from every domain and, if it is the arena's, frees its pages. If a domain cannot unmap it, the
  /// region is never used again, since a device may still write to it.
  void release(std::span<const DmaSegment> segments, PendingLog& log);

  [[nodiscard]] Result<void> attach(std::shared_ptr<DmaDomain> domain, PendingLog& log);
  /// Returns the registry's reference to the domain, which the caller releases outside of any lock; empty if the domain
  /// was not attached.
  [[nodiscard]] std::shared_ptr<DmaDomain> detach(const DmaDomain& domain, PendingLog& log);

  [[nodiscard]] const Arena& arena() const noexcept { return pages_.arena(); }

 private:
  [[nodiscard]] Result<void> use_physical_addresses(DmaRegion& region);
  [[nodiscard]] Result<void> add(DmaRegion& region, PendingLog& log);
  [[nodiscard]] Result<void> lock_and_map(DmaRegion& region, PendingLog& log, std::size_t& domains, bool& stuck);
  void give_back(DmaRegion& region);
  [[nodiscard]] Result<void> check_free(std::span<std::byte> memory) const;
  [[nodiscard]] Result<void> check_usable_iova(const DmaDomain& domain, const std::vector<IovaRange>& ranges) const;
  [[nodiscard]] Result<void> check_physical(const DmaDomain& domain) const;
  [[nodiscard]] Result<void> map_all(DmaDomain& domain, PendingLog& log) const;
  [[nodiscard]] Result<void> lock_all();
  void unlock_all();
  [[nodiscard]] bool wants_locked_pages() const;
  /// The IOVA ranges that all domains can use.
  [[nodiscard]] std::vector<IovaRange> common_iova_ranges() const;
  /// Switches to physical addresses if a domain needs them, and back when neither a domain nor existing memory does.
  void update_physical_addressing();

  IovaSpace iova_;
  PageAllocator pages_;
  std::vector<DmaRegion> regions_;
  std::vector<std::shared_ptr<DmaDomain>> domains_;
  std::shared_ptr<const PhysicalAddresses> physical_;  // null: IOVAs come from iova_
};

}  // namespace pollux
