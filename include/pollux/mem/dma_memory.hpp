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

/// Memory that devices may read and write. Move-only. The destructor unmaps it from every domain and frees it; memory
/// that the application registered is only unmapped. Each segment has one IOVA (the address that devices use), the same
/// in every domain. Rings and buffers never cross a segment.
/// Thread rule: the const members may be called from any thread; creation and destruction take the Context's lock.
class POLLUX_API DmaMemory {
 public:
  DmaMemory() = default;
  /// The source is empty afterwards. What the target had is unmapped and freed.
  ///@{
  DmaMemory(DmaMemory&&) noexcept;
  DmaMemory& operator=(DmaMemory&&) noexcept;
  ///@}
  ~DmaMemory();

  /// In ascending order of addresses; empty if there is no memory.
  [[nodiscard]] std::span<const DmaSegment> segments() const noexcept { return segments_; }
  /// Bytes of all segments together: the requested size, rounded up to whole pages.
  [[nodiscard]] std::size_t size() const noexcept;
  /// Bytes of one page: 4,096, or the size of a huge page.
  [[nodiscard]] std::size_t page_size() const noexcept { return page_size_; }
  /// Whether there is memory: not for a default-constructed or moved-from object.
  [[nodiscard]] explicit operator bool() const noexcept { return !segments_.empty(); }
  /// The IOVA of `address`; kNoIova unless the `length` bytes from there on are inside one segment.
  [[nodiscard]] std::uint64_t iova_of(const void* address, std::size_t length) const noexcept;

  static constexpr std::uint64_t kNoIova = ~std::uint64_t{0};  ///< the IOVA of memory that no device can reach

 private:
  friend class ContextState;
  friend class Mbuf;
  std::shared_ptr<ContextState> state_;
  std::vector<DmaSegment> segments_;
  std::size_t page_size_ = 0;
};

}  // namespace pollux
