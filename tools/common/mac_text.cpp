// SPDX-License-Identifier: BSD-3-Clause
#include "common/mac_text.hpp"

#include <charconv>
#include <cstddef>
#include <system_error>

namespace pollux::tools {

std::optional<MacAddress> parse_mac(const std::string& text) {
  MacAddress mac{};
  if (text.size() != 17) return std::nullopt;
  for (std::size_t i = 0; i < mac.size(); ++i) {
    const char* const digits = text.data() + 3 * i;
    const auto [stop, error] = std::from_chars(digits, digits + 2, mac[i], 16);
    if (error != std::errc{} || stop != digits + 2) return std::nullopt;
    if (i + 1 < mac.size() && *stop != ':') return std::nullopt;
  }
  return mac;
}

}  // namespace pollux::tools
