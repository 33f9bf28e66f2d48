// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string_view>

#include "pollux/base/error.hpp"

namespace pollux::tools {

/// A rate at which frames are sent, as a user writes it: "500kpps", "100Mbit", "33.3%". The value is exact.
struct RateText {
  enum class Unit {
    frames,  ///< per second
    bits,    ///< per second, on the wire: with preamble and gap
    share,   ///< millionths of the line rate
  };
  Unit unit = Unit::frames;
  std::uint64_t value = 0;
};

/// A number, which may have a fraction and a factor of k, M or G, and a unit: pps (or none), bit (or bps, bit/s) or %.
/// Errors: invalid_argument for anything else, for 0, for what is no whole number of frames, bits or millionths per
/// second, and above 10^12.
[[nodiscard]] Result<RateText> parse_rate(std::string_view text);

}  // namespace pollux::tools
