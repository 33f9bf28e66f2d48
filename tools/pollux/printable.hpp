// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace pollux::tool {

/// UTF-8 that others have written, such as a program, a process or a file system, with ? for each control character,
/// which a terminal would obey.
[[nodiscard]] inline std::string printable(std::string_view text) {
  std::string shown;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto next = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0U;
    const bool is_c1 = byte == 0xC2 && next >= 0x80 && next < 0xA0;  // U+0080 to U+009F
    shown += is_c1 || byte < 0x20 || byte == 0x7F ? '?' : text[i];
    if (is_c1) ++i;
  }
  return shown;
}

}  // namespace pollux::tool
