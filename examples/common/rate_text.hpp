// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string_view>

#include "common/slot_schedule.hpp"
#include "pollux/base/error.hpp"

namespace pollux::examples {

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

/// The rate and weights of a SlotSchedule.
struct SlotRate {
  std::uint64_t rate = 0;
  bool in_bits = true;  ///< a frame's weight is its slot_bits, not 1

  [[nodiscard]] std::uint64_t weight(std::uint64_t size) const noexcept { return in_bits ? slot_bits(size) : 1; }
};

/// Converts `rate` for a line of `line` bits per second and frames of at least `size` bytes, with the frame check
/// sequence. Error invalid_argument if it is above the line rate; the hint names the greatest rate.
[[nodiscard]] Result<SlotRate> slot_rate(const RateText& rate, std::uint64_t line, std::uint64_t size);

}  // namespace pollux::examples
