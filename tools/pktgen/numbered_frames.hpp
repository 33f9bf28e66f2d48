// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <vector>

#include "common/frame.hpp"
#include "pktgen/frame_source.hpp"

namespace pollux::tools {

/// Frames of pktgen, without end, of some flows in turn. Each flow has its own numbers, and all lengths in turn: frame
/// n of flow f, counted from the first, has length f + n.
class NumberedFrames final : public FrameSource {
 public:
  struct Flows {
    std::uint16_t first = 0;
    std::uint32_t count = 1;  ///< at least 1; first + count is at most frame::kMaxFlows
  };

  /// `lengths` are those in memory, at least one.
  NumberedFrames(const std::vector<std::uint32_t>& lengths, const MacAddress& destination, const MacAddress& source,
                 const Flows& flows);

  [[nodiscard]] std::uint32_t next_length() const noexcept override { return builders_[order_[next_length_]].length(); }
  [[nodiscard]] bool build(Mbuf& mbuf, MempoolCache& cache) noexcept override;

 private:
  std::vector<FrameBuilder> builders_;  // one for each different length
  std::vector<std::size_t> order_;      // of the builders
  Flows flows_;
  std::size_t next_length_ = 0;  // in `order_`
  std::uint32_t next_flow_ = 0;  // from the first
  std::uint64_t next_sequence_ = 0;
};

}  // namespace pollux::tools
