// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace pollux {

/// The character that a text in UTF-8 begins with (RFC 3629, 3).
struct Utf8Character {
  std::size_t bytes = 1;
  std::uint32_t code = 0;  ///< 0: it is none
};

[[nodiscard]] inline Utf8Character first_character(std::string_view text) noexcept {
  const auto byte = [&](std::size_t at) { return at < text.size() ? static_cast<unsigned char>(text[at]) : 0U; };
  const unsigned first = byte(0);
  if (first < 0x80) return {1, first};
  if (first < 0xC2 || first > 0xF4) return {};
  const std::size_t bytes = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  std::uint32_t code = first & (0x7FU >> bytes);
  for (std::size_t at = 1; at < bytes; ++at) {
    if ((byte(at) & 0xC0U) != 0x80) return {};
    code = code << 6U | (byte(at) & 0x3FU);
  }
  constexpr std::array<std::uint32_t, 5> kLeast{0, 0, 0x80, 0x800, 0x10000};
  const bool is_surrogate = code >= 0xD800 && code < 0xE000;
  return code < kLeast[bytes] || code > 0x10FFFF || is_surrogate ? Utf8Character{} : Utf8Character{bytes, code};
}

/// UTF-8 that others have written, such as a program, a process or a file system, with ? for each control character,
/// which a terminal would obey, for each that separates lines or changes the direction of the text around it, and for
/// each byte that is not UTF-8, since some terminals take such bytes for control characters.
[[nodiscard]] inline std::string printable(std::string_view text) {
  std::string shown;
  while (!text.empty()) {
    const auto [bytes, code] = first_character(text);
    const bool is_control = code < 0x20 || (code >= 0x7F && code < 0xA0);
    const bool is_layout = (code >= 0x2028 && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
    shown += is_control || is_layout ? std::string_view("?") : text.substr(0, bytes);
    text.remove_prefix(bytes);
  }
  return shown;
}

}  // namespace pollux
