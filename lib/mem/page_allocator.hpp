// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "mem/arena.hpp"
#include "mem/dma_region.hpp"
#include "mem/huge_pages.hpp"
#include "mem/iova_space.hpp"
#include "pollux/base/error.hpp"
#include "pollux/mem/context.hpp"

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

}  // namespace pollux
