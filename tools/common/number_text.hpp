// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <charconv>
#include <optional>
#include <string_view>
#include <system_error>

namespace pollux::tools {

/// The number that the whole of `text` is, if it is from `lowest` to `highest`; "nan" is not.
template <class Number>
[[nodiscard]] std::optional<Number> parse_number(std::string_view text, Number lowest, Number highest) {
  Number number{};
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  const bool is_within = number >= lowest && number <= highest;
  return error == std::errc{} && stop == end && is_within ? std::optional(number) : std::nullopt;
}

}  // namespace pollux::tools
