// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "pollux/mem/dma_domain.hpp"

namespace pollux::qtest {

/// The DMA domain of QEMU's cards. QEMU's RAM is the Context's memory file, so the cards can access all of that file
/// and nothing else.
class Domain final : public DmaDomain {
 public:
  /// The first `ram` bytes of the file `descriptor` are QEMU's RAM.
  Domain(int descriptor, std::uint64_t ram);

  [[nodiscard]] std::string_view name() const override { return "QEMU's RAM"; }
  [[nodiscard]] std::vector<IovaRange> usable_iova() const override;
  /// Checks that the segment is in the file. Error not_supported for other memory: of another page size, or the
  /// application's own.
  [[nodiscard]] Result<void> map(const DmaSegment& segment) override;
  [[nodiscard]] Result<void> unmap(const DmaSegment&) override { return {}; }

 private:
  std::uint64_t ram_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

}  // namespace pollux::qtest
