// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace pollux::differential {

/// Something in which the model and QEMU's card are known to differ. docs/82576/differences.md says why, under the tag;
/// a test compares its tags with these.
struct Difference {
  std::string what;           ///< the beginning of observations' names that it is about
  std::uint64_t bits = 0;     ///< those that may differ
  std::string tag;            ///< of its row in docs/82576/differences.md
  bool qemu_is_zero = false;  ///< only where QEMU shows zero in those bits

  [[nodiscard]] bool explains(std::string_view observed, std::uint64_t qemu) const {
    return observed.starts_with(what) && (!qemu_is_zero || (qemu & bits) == 0);
  }
};

[[nodiscard]] std::span<const Difference> known_differences();

}  // namespace pollux::differential
