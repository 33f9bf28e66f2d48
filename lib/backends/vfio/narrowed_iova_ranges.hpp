// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <vector>

#include "pollux/mem/dma_domain.hpp"

namespace pollux::vfio {

/// A domain's addresses are constant while it is attached, but each device that joins its address space may reach less.
/// This says so to the Context beside the domain and maps nothing by itself.
class NarrowedIovaRanges final : public DmaDomain {
 public:
  explicit NarrowedIovaRanges(std::vector<IovaRange> ranges) : ranges_(std::move(ranges)) {}
  std::string_view name() const override { return "a device that reaches less than those before it"; }
  std::vector<IovaRange> usable_iova() const override { return ranges_; }
  Result<void> map(const DmaSegment&) override { return {}; }
  Result<void> unmap(const DmaSegment&) override { return {}; }

 private:
  std::vector<IovaRange> ranges_;
};

[[nodiscard]] inline bool same_ranges(const std::vector<IovaRange>& one, const std::vector<IovaRange>& other) {
  return std::equal(one.begin(), one.end(), other.begin(), other.end(),
                    [](const IovaRange& a, const IovaRange& b) { return a.first == b.first && a.last == b.last; });
}

}  // namespace pollux::vfio
