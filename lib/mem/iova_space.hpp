// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "pollux/base/error.hpp"
#include "pollux/mem/dma_domain.hpp"

namespace pollux {

/// The addresses that devices see, shared by all domains of a Context. Hands them out low (first fit), inside what
/// every domain can reach. Thread rule: one thread at a time.
class IovaSpace {
 public:
  /// Below it lies what a PC's firmware and an emulator's RAM keep for themselves; a device address of 0 is a bug to be
  /// found.
  static constexpr std::uint64_t kFirst = std::uint64_t{1} << 20;
  /// Interrupt messages go to 0xFEE00000-0xFEEFFFFF on x86, where an IOMMU takes a DMA write for an interrupt. Around
  /// it lie the I/O APICs, the HPET, TPM and the firmware's flash up to 4 GiB, and without access control a switch or
  /// root complex may send a DMA to such a device instead of the IOMMU. An address space has 32 MiB to spare, so all of
  /// it is avoided.
  static constexpr IovaRange kX86Window{0xFE000000, 0xFFFFFFFF};
  /// Until a domain says less: what four levels of page tables translate.
  static constexpr std::uint64_t kLast = (std::uint64_t{1} << 48) - 1;

  IovaSpace();

  /// The addresses that are in every list of `domains`, for `restrict_to`.
  [[nodiscard]] static std::vector<IovaRange> usable_in(std::span<const std::vector<IovaRange>> domains);
  /// Makes these the usable addresses. What is taken stays taken.
  void restrict_to(std::vector<IovaRange> usable) noexcept { usable_ = std::move(usable); }
  [[nodiscard]] const std::vector<IovaRange>& usable() const noexcept { return usable_; }

  /// Takes the lowest free range of `size` bytes at a multiple of `alignment` (a power of two) with nothing above
  /// `last`; `owner` is for messages. Error: no_memory.
  [[nodiscard]] Result<std::uint64_t> take(std::uint64_t size, std::uint64_t alignment, std::string owner,
                                           std::uint64_t last = kLast);
  /// Gives back the range that `take` returned.
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

/// Whether `size` bytes from `first` on lie in one of `ranges`; neighbouring ranges count as one.
[[nodiscard]] bool contains(std::span<const IovaRange> ranges, std::uint64_t first, std::uint64_t size);
/// The addresses that both lists have, ascending and merged. The lists may be in any order; an empty range is skipped.
[[nodiscard]] std::vector<IovaRange> intersect(std::span<const IovaRange> left, std::span<const IovaRange> right);

}  // namespace pollux
