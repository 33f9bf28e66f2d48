// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

namespace pollux::test {

/// The bytes that pairs of hexadecimal digits stand for. Spaces are ignored. Throws std::invalid_argument if a pair
/// does not begin with a digit.
template <class Byte = std::uint8_t>
[[nodiscard]] std::vector<Byte> bytes_of_hex(std::string_view text) {
  std::string digits;
  std::copy_if(text.begin(), text.end(), std::back_inserter(digits), [](char c) { return c != ' '; });
  std::vector<Byte> bytes;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
    bytes.push_back(static_cast<Byte>(std::stoul(digits.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

}  // namespace pollux::test
