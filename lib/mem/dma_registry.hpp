// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/file_descriptor.hpp"
#include "base/own_process.hpp"
#include "mem/dma_region.hpp"
#include "mem/huge_pages.hpp"
#include "pollux/base/error.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/mem/dma_domain.hpp"

namespace pollux {

/// The address range that holds a Context's DMA memory. IOVA, pointer and file offset differ by constants: address =
/// base + IOVA, offset = IOVA. Address space is reserved on first use; only pieces in use have pages. There is one
/// sparse, unnamed file for each page size, which an emulator can map as its RAM. A forked child does not inherit the
/// pieces and does not free them when it exits.
/// Thread rule: one thread at a time.
class Arena {
 public:
  static constexpr std::size_t kGranule = std::size_t{1} << 30;  ///< alignment of the base, and the largest page size

  /// `size`: bytes of address space to reserve, rounded up to whole GiB.
  explicit Arena(std::size_t size);
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena();

  /// Reserves the address space. If that fails it tries half the size, and so on down to 1 GiB. Later calls do nothing.
  /// Error: no_memory.
  [[nodiscard]] Result<void> reserve();
  /// Bytes of address space: the requested size before `reserve`, the reserved size after it.
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool has_file(std::size_t page_size) const { return files_.contains(page_size); }
  /// The file for that page size, for example for an emulator's RAM; -1 if there is none yet. The arena keeps
  /// ownership.
  [[nodiscard]] int descriptor(std::size_t page_size) const;
  /// Uses `file` for the pieces of that page size.
  [[nodiscard]] Result<void> add_file(std::size_t page_size, FileDescriptor file);

  /// Maps zeroed, populated pages at base + `iova` and returns that address. `iova` and `size` are multiples of
  /// `page_size`, whose file exists; `node` as in numa::bind. Error: no_memory, with nothing left mapped.
  [[nodiscard]] Result<std::byte*> place(std::size_t page_size, std::uint64_t iova, std::size_t size, int node);
  /// Unmaps a piece and frees its pages.
  void remove(std::size_t page_size, std::uint64_t iova, std::size_t size);

  /// Whether this process created the arena; false in a forked child.
  [[nodiscard]] bool is_owner() const noexcept { return process_.is_here(); }

 private:
  /// Populates the pages of a mapped piece.
  [[nodiscard]] Result<void> populate(std::size_t page_size, std::uint64_t iova, std::size_t size, int node);
  [[nodiscard]] std::byte* address_of(std::uint64_t iova) const { return base_ + iova; }

  std::size_t size_;
  std::byte* base_ = nullptr;
  std::map<std::size_t, FileDescriptor> files_;
  OwnProcess process_;
};

/// Populates every page of a shared mapping, so that no later access can fail. Returns an errno value, 0 on success;
/// EINVAL if the kernel is too old (before 5.14).
[[nodiscard]] int populate_mapping(std::byte* address, std::size_t size);
/// The same for an older kernel. Allocates in the file first, where a shortage is an error and not a signal.
[[nodiscard]] int populate_file(int file, std::uint64_t offset, std::byte* address, std::size_t size,
                                std::size_t page_size, int node);

/// Allocates IOVAs, the addresses that devices use, for all domains of a Context: the lowest free ones (first fit) that
/// every domain can use.
/// Thread rule: one thread at a time.
class IovaSpace {
 public:
  /// The first usable IOVA. PC firmware and emulators reserve the range below it, and a device address of 0 is always a
  /// bug.
  static constexpr std::uint64_t kFirst = std::uint64_t{1} << 20;
  /// A range that is never used. On x86 an IOMMU treats a DMA write to 0xFEE00000-0xFEEFFFFF as an interrupt. The I/O
  /// APICs, the HPET, the TPM and the firmware's flash are around it, up to 4 GiB; without access control, a switch or
  /// root complex may send a DMA write to such a device instead of the IOMMU. Avoiding the whole range costs 32 MiB of
  /// address space.
  static constexpr IovaRange kX86Window{0xFE000000, 0xFFFFFFFF};
  /// The last usable IOVA until a domain reports less: four levels of page tables translate 48 bits.
  static constexpr std::uint64_t kLast = (std::uint64_t{1} << 48) - 1;

  IovaSpace();

  /// The ranges that are in every list of `domains`, for `restrict_to`.
  [[nodiscard]] static std::vector<IovaRange> usable_in(std::span<const std::vector<IovaRange>> domains);
  /// Sets the usable ranges. Ranges that are already taken are not affected.
  void restrict_to(std::vector<IovaRange> usable) noexcept { usable_ = std::move(usable); }
  [[nodiscard]] const std::vector<IovaRange>& usable() const noexcept { return usable_; }

  /// Takes the lowest free range of `size` bytes that starts at a multiple of `alignment` (a power of two) and ends at
  /// or below `last`. `owner` is used in messages. Error: no_memory.
  [[nodiscard]] Result<std::uint64_t> take(std::uint64_t size, std::uint64_t alignment, std::string owner,
                                           std::uint64_t last = kLast);
  /// Frees the range that `take` returned.
  void release(std::uint64_t first);
  [[nodiscard]] std::uint64_t bytes_taken() const noexcept;

 private:
  struct Taken {
    std::uint64_t size;
    std::string owner;
  };

  [[nodiscard]] std::string largest_owner() const;

  std::vector<IovaRange> usable_;
  std::map<std::uint64_t, Taken> taken_;
};

/// Whether the `size` bytes from `first` on are inside `ranges`; adjacent ranges count as one.
[[nodiscard]] bool contains(std::span<const IovaRange> ranges, std::uint64_t first, std::uint64_t size);
/// The ranges common to both lists, ascending and merged. The lists may be in any order; empty ranges are ignored.
[[nodiscard]] std::vector<IovaRange> intersect(std::span<const IovaRange> left, std::span<const IovaRange> right);

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
  /// From now on `give_back` does nothing: another process uses the pages.
  void keep_pages() noexcept { keeps_pages_ = true; }
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
  bool keeps_pages_ = false;
};

/// Where bytes of the arena lie in its file.
struct FilePlace {
  int file = -1;
  std::uint64_t offset = 0;
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
  /// nullopt: they are not all of the arena, or in pages of two sizes.
  [[nodiscard]] std::optional<FilePlace> place_of(const std::byte* first, std::size_t bytes) const;
  /// See PageAllocator.
  void keep_pages() noexcept { pages_.keep_pages(); }
  /// The addresses of all memory, ascending and merged.
  [[nodiscard]] std::vector<IovaRange> used_iova() const;

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
