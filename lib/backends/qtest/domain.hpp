// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "pollux/mem/dma_domain.hpp"

namespace pollux::qtest {

/// QEMU's RAM, which is the Context's memory file: whatever lies in that file is reachable already, and nothing else
/// ever can be.
class Domain final : public DmaDomain {
 public:
  /// `ram` bytes of the file behind `descriptor` are QEMU's RAM.
  Domain(int descriptor, std::uint64_t ram);

  [[nodiscard]] std::string_view name() const override { return "QEMU's RAM"; }
  [[nodiscard]] std::vector<IovaRange> usable_iova() const override;
  /// Error not_supported for memory of another file: of another page size, or the application's own.
  [[nodiscard]] Result<void> map(const DmaSegment& segment) override;
  [[nodiscard]] Result<void> unmap(const DmaSegment&) override { return {}; }

 private:
  std::uint64_t ram_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

}  // namespace pollux::qtest
