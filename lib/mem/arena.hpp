// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <map>

#include "base/file_descriptor.hpp"
#include "pollux/base/error.hpp"

namespace pollux {

/// Where a Context's DMA memory lies: address = base + IOVA and offset in a file = IOVA, so that a device address, a
/// pointer and an emulator's RAM differ by constants. Address space is reserved on first use; pages are only where a
/// piece is. There is one sparse, nameless file for each page size. A forked child has none of it: it neither inherits
/// the pieces nor takes them from its parent when it exits. Thread rule: one thread at a time.
class Arena {
 public:
  static constexpr std::size_t kGranule = std::size_t{1}
                                          << 30;  ///< the base is a multiple of it, and pages are not larger

  /// Wants `size` bytes of address space, rounded up to whole GiB.
  explicit Arena(std::size_t size);
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena();

  /// Takes the address space, or half of it, and so on down to 1 GiB. Done once. Error: no_memory.
  [[nodiscard]] Result<void> reserve();
  /// Bytes of address space; what was wished for until `reserve` has found what there is.
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool has_file(std::size_t page_size) const { return files_.contains(page_size); }
  /// The file of that page size, for an emulator to take as its RAM; -1 if there is none yet. Stays the arena's.
  [[nodiscard]] int descriptor(std::size_t page_size) const;
  /// Makes `file` the one for pieces of that page size.
  [[nodiscard]] Result<void> add_file(std::size_t page_size, FileDescriptor file);

  /// Puts zeroed, populated pages at base + `iova` and returns that address. `iova` and `size` are multiples of
  /// `page_size`, whose file is there; `node` as in numa::bind. Error: no_memory, with nothing left behind.
  [[nodiscard]] Result<std::byte*> place(std::size_t page_size, std::uint64_t iova, std::size_t size, int node);
  /// Gives the pages of a piece back to the system.
  void remove(std::size_t page_size, std::uint64_t iova, std::size_t size);

  /// Whether this is the process that made the arena, not a child of it.
  [[nodiscard]] bool is_owner() const;

 private:
  /// Gets the pages of a piece that is mapped.
  [[nodiscard]] Result<void> fetch(std::size_t page_size, std::uint64_t iova, std::size_t size, int node);
  [[nodiscard]] std::byte* address_of(std::uint64_t iova) const { return base_ + iova; }

  std::size_t size_;
  std::byte* base_ = nullptr;
  std::map<std::size_t, FileDescriptor> files_;
  pid_t owner_;
};

/// Fetches every page of a shared mapping, so that no later access can fail. Returns an errno value, 0 on success;
/// EINVAL where the kernel is too old (before 5.14).
[[nodiscard]] int populate_mapping(std::byte* address, std::size_t size);
/// The same for an older kernel: allocates in the file first, where a shortage is an error and not a signal.
[[nodiscard]] int populate_file(int file, std::uint64_t offset, std::byte* address, std::size_t size,
                                std::size_t page_size, int node);

}  // namespace pollux
