// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <vector>

#include "pollux/mem/dma_domain.hpp"

namespace pollux::vfio {

/// Tells the Context that a device has fewer usable IOVAs than the attached domain that it joined. An attached domain
/// cannot change its ranges, so this second domain, which maps nothing, is attached with the fewer ranges.
class NarrowedIovaRanges final : public DmaDomain {
 public:
  explicit NarrowedIovaRanges(std::vector<IovaRange> ranges) : ranges_(std::move(ranges)) {}
  std::string_view name() const override { return "a device with fewer usable IOVAs than the devices before it"; }
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
