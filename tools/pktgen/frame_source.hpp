// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>

#include "pollux/base/clock.hpp"
#include "pollux/mem/mbuf.hpp"
#include "pollux/mem/mempool.hpp"

namespace pollux::tools {

/// The frames that one queue sends, one after the other. Thread rule: as for the sender that has it.
class FrameSource {
 public:
  FrameSource() = default;
  FrameSource(const FrameSource&) = delete;
  FrameSource& operator=(const FrameSource&) = delete;
  virtual ~FrameSource() = default;

  /// The bytes of the next frame in memory, without FCS; 0 if there is no other.
  [[nodiscard]] virtual std::uint32_t next_length() const noexcept = 0;
  /// The time of a frame that is due later than a Duration can say.
  static constexpr Duration kNever = Duration::max();
  /// When the next frame is due, from the start of the first; nothing if a rate decides.
  [[nodiscard]] virtual std::optional<Duration> next_at() const noexcept { return std::nullopt; }
  /// Fills the empty `mbuf` with the next frame, and goes on to the one after it. False if `cache` is exhausted: the
  /// frame is still the next.
  [[nodiscard]] virtual bool build(Mbuf& mbuf, MempoolCache& cache) noexcept = 0;
};

}  // namespace pollux::tools
