// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace pollux::ethtool {

/// Bytes as the protocol writes them: two hexadecimal digits each.
[[nodiscard]] inline std::string hex_of(std::span<const std::uint8_t> bytes) {
  std::string digits;
  char two[3];
  for (const std::uint8_t byte : bytes) {
    std::snprintf(two, sizeof two, "%02x", byte);
    digits += two;
  }
  return digits;
}

/// nullopt: these are no such digits.
[[nodiscard]] inline std::optional<std::vector<std::uint8_t>> bytes_of(const std::string& digits) {
  std::vector<std::uint8_t> bytes;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
    std::uint8_t byte = 0;
    const char* const end = digits.data() + i + 2;
    if (std::from_chars(digits.data() + i, end, byte, 16).ptr != end) return std::nullopt;
    bytes.push_back(byte);
  }
  return bytes;
}

}  // namespace pollux::ethtool
