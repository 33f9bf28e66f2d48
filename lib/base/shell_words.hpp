// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include "base/printable.hpp"

namespace pollux {

/// A word of a command that a user may type or paste: as it is if no shell gives its characters a meaning, else quoted.
/// What a terminal may not show (`printable`) stands as $'...' of bash and zsh; other shells take that for another
/// name, and still run nothing of it.
[[nodiscard]] inline std::string shell_quoted(std::string_view word) {
  constexpr std::string_view kPlain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_@%+=:,./-";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string_view::npos) return std::string(word);
  const bool shows = is_printable_text(word);
  std::string quoted = shows ? "'" : "$'";
  for (const char c : word) {
    const auto byte = static_cast<unsigned char>(c);
    if (shows) {
      quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
    } else if (byte > ' ' && byte <= '~' && c != '\'' && c != '\\') {
      quoted += c;
    } else {
      const auto digit = [&](unsigned shift) { return static_cast<char>('0' + (byte >> shift & 7U)); };
      quoted += {'\\', digit(6), digit(3), digit(0)};
    }
  }
  return quoted + "'";
}

/// Words as a command line.
template <class Words>
[[nodiscard]] std::string shell_line(const Words& words) {
  std::string line;
  for (const std::string& word : words) line += (line.empty() ? "" : " ") + shell_quoted(word);
  return line;
}

}  // namespace pollux
