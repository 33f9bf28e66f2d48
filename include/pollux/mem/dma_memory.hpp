// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "pollux/base/api.hpp"
#include "pollux/mem/dma_domain.hpp"

namespace pollux {

class ContextState;

/// Memory that devices may read and write. Move-only; going away unmaps it from every domain and gives it back (or, for
/// memory that the application registered, only unmaps it).
/// Each segment has one IOVA, the same in every domain. Rings and buffers never cross a segment.
/// Thread rule: reading the members is free; creation and destruction take the Context's lock.
class POLLUX_API DmaMemory {
 public:
  DmaMemory() = default;
  DmaMemory(DmaMemory&&) noexcept;
  DmaMemory& operator=(DmaMemory&&) noexcept;
  ~DmaMemory();

  [[nodiscard]] std::span<const DmaSegment> segments() const noexcept { return segments_; }
  /// Bytes usable in all segments together: what was asked for, rounded up to whole pages.
  [[nodiscard]] std::size_t size() const noexcept;
  /// Bytes of one page: 4,096, or a huge page's.
  [[nodiscard]] std::size_t page_size() const noexcept { return page_size_; }
  [[nodiscard]] explicit operator bool() const noexcept { return !segments_.empty(); }
  /// The device's address of `address`, which must lie in a segment with `length` bytes; kNoIova otherwise.
  [[nodiscard]] std::uint64_t iova_of(const void* address, std::size_t length) const noexcept;

  static constexpr std::uint64_t kNoIova = ~std::uint64_t{0};

 private:
  friend class ContextState;
  friend class Mbuf;
  std::shared_ptr<ContextState> state_;
  std::vector<DmaSegment> segments_;
  std::size_t page_size_ = 0;
};

}  // namespace pollux
