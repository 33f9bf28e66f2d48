// SPDX-License-Identifier: BSD-3-Clause
#include "pktgen/numbered_frames.hpp"

#include <algorithm>

namespace pollux::tools {

NumberedFrames::NumberedFrames(const std::vector<std::uint32_t>& lengths, const MacAddress& destination,
                               const MacAddress& source, const Flows& flows)
    : flows_(flows) {
  for (const std::uint32_t length : lengths) {
    const auto known = std::ranges::find(builders_, length, &FrameBuilder::length);
    order_.push_back(static_cast<std::size_t>(known - builders_.begin()));
    if (known == builders_.end()) builders_.emplace_back(length, destination, source);
  }
}

bool NumberedFrames::build(Mbuf& mbuf, MempoolCache& cache) noexcept {
  const auto flow = static_cast<std::uint16_t>(flows_.first + next_flow_);
  if (!builders_[order_[next_length_]].build(mbuf, cache, next_sequence_, flow)) return false;
  if (++next_length_ == order_.size()) next_length_ = 0;
  if (++next_flow_ < flows_.count) return true;
  next_flow_ = 0;
  ++next_sequence_;
  next_length_ = next_sequence_ % order_.size();
  return true;
}

}  // namespace pollux::tools
