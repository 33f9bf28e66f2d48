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

/// The first and last code of a range of characters.
struct CodeRange {
  std::uint32_t first;
  std::uint32_t last;
};

/// What text of others may not show: control characters, which a terminal obeys; separators of lines and annotations;
/// and what has no shape of its own, so that two different texts look alike or a text reads in another order: all with
/// Default_Ignorable_Code_Point or Bidi_Control (Unicode 16, DerivedCoreProperties.txt and PropList.txt).
inline constexpr auto kNotShown = std::to_array<CodeRange>({{0x00, 0x1F},
                                                            {0x7F, 0x9F},
                                                            {0xAD, 0xAD},
                                                            {0x34F, 0x34F},
                                                            {0x61C, 0x61C},
                                                            {0x115F, 0x1160},
                                                            {0x17B4, 0x17B5},
                                                            {0x180B, 0x180F},
                                                            {0x200B, 0x200F},
                                                            {0x2028, 0x202E},
                                                            {0x2060, 0x206F},
                                                            {0x3164, 0x3164},
                                                            {0xFE00, 0xFE0F},
                                                            {0xFEFF, 0xFEFF},
                                                            {0xFFA0, 0xFFA0},
                                                            {0xFFF0, 0xFFFB},
                                                            {0x1BCA0, 0x1BCA3},
                                                            {0x1D173, 0x1D17A},
                                                            {0xE0000, 0xE0FFF}});

/// Whether a text of others is UTF-8 of characters that may be shown. It allocates nothing.
[[nodiscard]] inline bool is_printable_text(std::string_view text) noexcept {
  while (!text.empty()) {
    const auto [bytes, code] = first_character(text);
    for (const CodeRange& range : kNotShown) {
      if (code >= range.first && code <= range.last) return false;
    }
    text.remove_prefix(bytes);
  }
  return true;
}

/// UTF-8 that others have written, such as a program, a process or a file system, with ? for each character that may
/// not be shown (`kNotShown`), and for each byte that is not UTF-8, since some terminals take such bytes for control
/// characters.
[[nodiscard]] inline std::string printable(std::string_view text) {
  std::string shown;
  while (!text.empty()) {
    const std::string_view character = text.substr(0, first_character(text).bytes);
    shown += is_printable_text(character) ? character : std::string_view("?");
    text.remove_prefix(character.size());
  }
  return shown;
}

}  // namespace pollux
