// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "mem/dma_region.hpp"
#include "mem/iova_space.hpp"
#include "mem/page_allocator.hpp"
#include "mem/pending_log.hpp"
#include "pollux/base/error.hpp"
#include "pollux/mem/dma_domain.hpp"

namespace pollux {

/// All memory that devices reach, and all domains it is mapped into: each region is in every domain at the same IOVA,
/// or it is in none. What takes memory takes it before it changes anything, so that std::bad_alloc leaves all as it
/// was; `release` and `detach` do not fail for want of it. Thread rule: one thread at a time.
class DmaRegistry {
 public:
  DmaRegistry(const PageAllocator::Options& options, HugePagePaths paths) : pages_(options, std::move(paths)) {}

  [[nodiscard]] Result<DmaRegion> allocate(const DmaRequest& request, PendingLog& log);
  [[nodiscard]] Result<DmaRegion> register_memory(std::span<std::byte> memory, PendingLog& log);
  /// Unmaps a region everywhere and gives its pages back if they are the arena's. A region that a domain does not let
  /// go is kept as it is, never used again, since its device may still write to it.
  void release(std::span<const DmaSegment> segments, PendingLog& log);

  [[nodiscard]] Result<void> attach(std::shared_ptr<DmaDomain> domain, PendingLog& log);
  /// Returns the registry's hold on the domain, to be let go outside of any lock; empty if it was not attached.
  [[nodiscard]] std::shared_ptr<DmaDomain> detach(const DmaDomain& domain, PendingLog& log);

  [[nodiscard]] const Arena& arena() const noexcept { return pages_.arena(); }

 private:
  [[nodiscard]] Result<void> add(DmaRegion region, PendingLog& log);
  [[nodiscard]] Result<void> check_free(std::span<std::byte> memory) const;
  [[nodiscard]] Result<void> check_usable_iova(const DmaDomain& domain, const std::vector<IovaRange>& ranges) const;
  [[nodiscard]] Result<void> check_physical(const DmaDomain& domain) const;
  [[nodiscard]] Result<void> map_all(DmaDomain& domain, PendingLog& log) const;
  [[nodiscard]] Result<void> lock_all();
  void unlock_all();
  [[nodiscard]] bool wants_locked_pages() const;
  /// The ranges that all domains can use.
  [[nodiscard]] std::vector<IovaRange> common_iova_ranges() const;
  /// Keeps to physical addresses while a domain or memory that exists needs them.
  void update_physical_addressing();

  IovaSpace iova_;
  PageAllocator pages_;
  std::vector<DmaRegion> regions_;
  std::vector<std::shared_ptr<DmaDomain>> domains_;
  std::shared_ptr<const PhysicalAddresses> physical_;  // null: IOVAs are what `iova_` hands out
};

}  // namespace pollux
