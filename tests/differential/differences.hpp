// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace pollux::differential {

/// The comparisons. Each one has its own list of known differences.
enum class Scope : std::uint8_t {
  reset,    ///< registers after a reset
  written,  ///< registers after a write
  alias,    ///< registers after a write to their alias
  traffic,  ///< descriptors, frames and counters after a round of traffic
};

/// The card that reads the differing bits as zero.
enum class Zero : std::uint8_t { neither, model, qemu };

/// A known difference between the model and QEMU's card. docs/82576/differences.md gives the reason under the tag. A
/// test checks that the document and this list have the same tags.
struct Difference {
  /// Any bits may differ. For counters: which bits differ depends on the traffic.
  static constexpr std::uint64_t kAnyBits = ~std::uint64_t{0};

  Scope scope;
  std::string what;        ///< the names of the affected observations begin with these words
  std::uint64_t bits = 0;  ///< the bits that differ; a bit that never differs makes the entry stale
  std::string tag;         ///< the tag of its row in docs/82576/differences.md
  Zero zero = Zero::neither;

  [[nodiscard]] bool explains(std::string_view observed, std::uint64_t model, std::uint64_t qemu) const;
};

[[nodiscard]] std::span<const Difference> known_differences();

}  // namespace pollux::differential
