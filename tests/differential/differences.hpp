// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace pollux::differential {

/// What is compared: each has differences of its own.
enum class Scope : std::uint8_t {
  reset,        ///< registers after a reset
  written,      ///< registers after a write
  other_place,  ///< registers after a write to their alias
  traffic,      ///< what a round of traffic leaves
};

/// Which of the cards has zeros in the bits that differ.
enum class Zero : std::uint8_t { neither, model, qemu };

/// Something in which the model and QEMU's card are known to differ. docs/82576/differences.md says why, under the tag;
/// a test compares its tags with these.
struct Difference {
  /// The value of a counter: which of its bits differ depends on the traffic.
  static constexpr std::uint64_t kAnyBits = ~std::uint64_t{0};

  Scope scope;
  std::string what;  ///< the beginning of observations' names that it is about; the name's word ends there
  std::uint64_t bits =
      0;            ///< those that differ: each of them has to be seen to, or the difference is wider than it need be
  std::string tag;  ///< of its row in docs/82576/differences.md
  Zero zero = Zero::neither;

  [[nodiscard]] bool explains(std::string_view observed, std::uint64_t model, std::uint64_t qemu) const;
};

[[nodiscard]] std::span<const Difference> known_differences();

}  // namespace pollux::differential
