// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "pollux/base/error.hpp"
#include "pollux/mem/dma_domain.hpp"

namespace pollux {

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

}  // namespace pollux
