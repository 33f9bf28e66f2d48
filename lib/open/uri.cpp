// SPDX-License-Identifier: BSD-3-Clause
#include "open/uri.hpp"

#include <algorithm>

namespace pollux {

std::optional<Uri> Uri::parse(std::string_view text) {
  const auto colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0) return std::nullopt;
  const std::string_view scheme = text.substr(0, colon);
  const auto is_letter = [](char c) { return c >= 'a' && c <= 'z'; };
  const auto may_follow = [&](char c) {
    return is_letter(c) || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
  };
  if (!is_letter(scheme.front()) || !std::all_of(scheme.begin(), scheme.end(), may_follow)) return std::nullopt;
  return Uri{.scheme = scheme, .which = text.substr(colon + 1)};
}

std::optional<WrapUri> WrapUri::parse(std::string_view text, bool (*is_uri)(std::string_view text)) {
  for (auto comma = text.find(','); comma != std::string_view::npos; comma = text.find(',', comma + 1)) {
    const std::string_view inner = text.substr(comma + 1);
    if (comma != 0 && is_uri(inner)) return WrapUri{.argument = text.substr(0, comma), .inner = inner};
  }
  return std::nullopt;
}

}  // namespace pollux
