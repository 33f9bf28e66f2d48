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
#include "mem/pending_log.hpp"
#include "pollux/base/error.hpp"
#include "pollux/mem/context.hpp"

namespace pollux {

enum class PageKind {
  any,   ///< as the Context's options say
  huge,  ///< huge pages or none, since ordinary ones do not stay where they are in physical memory
};

/// Which pages a request gets, and at which IOVA: huge ones as the Context's options say, or ordinary ones.
/// Thread rule: one thread at a time.
class PageAllocator {
 public:
  struct Options {
    HugePages huge_pages = HugePages::prefer;
    std::size_t huge_page_size = 0;  ///< bytes; 0: the smallest that has enough free pages
    std::size_t arena_size = 0;      ///< bytes
  };

  PageAllocator(const Options& options, HugePagePaths paths);

  /// Zeroed, populated memory inside what `iova` offers, in one segment. Warns once when it has to fall back to
  /// ordinary pages. Errors: invalid_argument (size, node), no_memory, not_supported (huge pages only, but the options
  /// say never).
  [[nodiscard]] Result<DmaRegion> take(const DmaRequest& request, IovaSpace& iova, PageKind kind, PendingLog& log);
  void give_back(const DmaRegion& region, IovaSpace& iova);
  [[nodiscard]] const Arena& arena() const noexcept { return arena_; }

 private:
  /// Why there are no huge pages for a request, and the command that mends it.
  struct Shortage {
    std::string reason;
    std::string remedy;
    std::size_t page_size = 0;  ///< of the huge pages that were looked for; 0 if there are none
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
