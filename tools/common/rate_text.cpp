// SPDX-License-Identifier: BSD-3-Clause
#include "common/rate_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>

namespace pollux::tools {
namespace {

constexpr std::uint64_t kMillion = 1'000'000;
constexpr std::uint64_t kGreatest = kMillion * kMillion;
constexpr unsigned kFractionDigits = 9;
constexpr std::uint64_t kFraction = 1'000'000'000;

struct Decimal {
  std::uint64_t whole = 0;     // at most kGreatest
  std::uint64_t fraction = 0;  // in units of 1 / kFraction
  std::string_view rest;       // what follows the number
};

bool is_digit(std::string_view text) { return !text.empty() && std::isdigit(static_cast<unsigned char>(text[0])) != 0; }

/// Nothing if there is no number, or one with too many digits.
std::optional<Decimal> leading_decimal(std::string_view text) {
  if (!is_digit(text)) return std::nullopt;
  std::uint64_t whole = 0;
  for (; is_digit(text); text.remove_prefix(1)) {
    whole = whole * 10 + static_cast<std::uint64_t>(text[0] - '0');
    if (whole > kGreatest) return std::nullopt;
  }
  std::uint64_t fraction = 0;
  unsigned digits = 0;
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    for (; is_digit(text); text.remove_prefix(1)) {
      if (++digits > kFractionDigits) return std::nullopt;
      fraction = fraction * 10 + static_cast<std::uint64_t>(text[0] - '0');
    }
    if (digits == 0) return std::nullopt;
  }
  for (; digits < kFractionDigits; ++digits) fraction *= 10;
  return Decimal{whole, fraction, text};
}

struct Suffix {
  std::string_view text;
  RateText::Unit unit;
  std::uint64_t factor;
};
constexpr std::array kUnits{
    Suffix{"pps", RateText::Unit::frames, 1}, Suffix{"", RateText::Unit::frames, 1},
    Suffix{"bit", RateText::Unit::bits, 1},   Suffix{"bps", RateText::Unit::bits, 1},
    Suffix{"bit/s", RateText::Unit::bits, 1}, Suffix{"%", RateText::Unit::share, kMillion / 100},
};

std::uint64_t take_factor(std::string_view& rest) {
  std::uint64_t factor = 1;
  if (rest.starts_with('k')) factor = 1000;
  if (rest.starts_with('M')) factor = kMillion;
  if (rest.starts_with('G')) factor = 1000 * kMillion;
  if (factor != 1) rest.remove_prefix(1);
  return factor;
}

/// The number times `factor`, at most 10^9, if that is whole and at most kGreatest.
std::optional<std::uint64_t> scaled(const Decimal& number, std::uint64_t factor) {
  const std::uint64_t fraction = number.fraction * factor;
  if (fraction % kFraction != 0 || number.whole > kGreatest / factor) return std::nullopt;
  const std::uint64_t result = number.whole * factor + fraction / kFraction;
  return result == 0 || result > kGreatest ? std::nullopt : std::optional(result);
}

}  // namespace

Result<RateText> parse_rate(std::string_view text) {
  if (auto decimal = leading_decimal(text)) {
    const std::uint64_t factor = take_factor(decimal->rest);
    for (const Suffix& unit : kUnits) {
      if (decimal->rest != unit.text || (unit.unit == RateText::Unit::share && factor != 1)) continue;
      if (decimal->whole == 0 && decimal->fraction == 0) {
        return fail(ErrorCode::invalid_argument, fmt::format("a rate of '{}' sends nothing", text),
                    "use a rate above 0, such as 500kpps, 100Mbit or 50%");
      }
      if (const auto value = scaled(*decimal, factor * unit.factor)) return RateText{unit.unit, *value};
    }
  }
  return fail(ErrorCode::invalid_argument, fmt::format("'{}' is not a rate", text),
              "use frames per second (500000, 500kpps), bits on the wire per second (100Mbit, 1.5Gbit) or a share of "
              "the line rate (50%, 33.3%); up to 10^12");
}

}  // namespace pollux::tools
