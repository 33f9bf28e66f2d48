// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <map>

#include "base/file_descriptor.hpp"
#include "pollux/base/error.hpp"

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
  [[nodiscard]] bool is_owner() const;

 private:
  /// Populates the pages of a mapped piece.
  [[nodiscard]] Result<void> populate(std::size_t page_size, std::uint64_t iova, std::size_t size, int node);
  [[nodiscard]] std::byte* address_of(std::uint64_t iova) const { return base_ + iova; }

  std::size_t size_;
  std::byte* base_ = nullptr;
  std::map<std::size_t, FileDescriptor> files_;
  pid_t owner_;
};

/// Populates every page of a shared mapping, so that no later access can fail. Returns an errno value, 0 on success;
/// EINVAL if the kernel is too old (before 5.14).
[[nodiscard]] int populate_mapping(std::byte* address, std::size_t size);
/// The same for an older kernel. Allocates in the file first, where a shortage is an error and not a signal.
[[nodiscard]] int populate_file(int file, std::uint64_t offset, std::byte* address, std::size_t size,
                                std::size_t page_size, int node);

}  // namespace pollux
