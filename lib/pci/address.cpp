// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/pci/address.hpp"

#include <fmt/format.h>

#include <charconv>
#include <optional>

namespace pollux::pci {
namespace {

/// Parses `text` as a hexadecimal number of `min_digits` to `max_digits` digits that is at most `limit`.
std::optional<std::uint32_t> hex_field(std::string_view text, std::size_t min_digits, std::size_t max_digits,
                                       std::uint32_t limit) {
  if (text.size() < min_digits || text.size() > max_digits) return std::nullopt;
  std::uint32_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value, 16);
  if (error != std::errc{} || stop != end || value > limit) return std::nullopt;
  return value;
}

/// Parses "01:00.0".
std::optional<Address> parse_in_domain(std::uint32_t domain, std::string_view text) {
  const auto colon = text.find(':');
  const auto dot = text.find('.');
  if (colon == std::string_view::npos || dot == std::string_view::npos || dot < colon) return std::nullopt;
  const auto bus = hex_field(text.substr(0, colon), 2, 2, 0xff);
  const auto device = hex_field(text.substr(colon + 1, dot - colon - 1), 2, 2, 0x1f);
  const auto function = hex_field(text.substr(dot + 1), 1, 1, 7);
  if (!bus || !device || !function) return std::nullopt;
  return Address{domain, static_cast<std::uint8_t>(*bus), static_cast<std::uint8_t>(*device),
                 static_cast<std::uint8_t>(*function)};
}

std::optional<Address> parse_any(std::string_view text) {
  const auto first = text.find(':');
  if (first == std::string_view::npos) return std::nullopt;
  if (text.find(':', first + 1) == std::string_view::npos) return parse_in_domain(0, text);
  const auto domain = hex_field(text.substr(0, first), 4, 8, UINT32_MAX);
  return domain ? parse_in_domain(*domain, text.substr(first + 1)) : std::nullopt;
}

}  // namespace

Result<Address> Address::parse(std::string_view text) {
  if (const auto address = parse_any(text)) return *address;
  return fail(ErrorCode::invalid_argument, fmt::format("'{}' is not a PCI address", text),
              "write domain:bus:device.function in hexadecimal, such as 0000:01:00.0; `pollux list` shows the cards "
              "and their interfaces");
}

std::string Address::to_string() const {
  return fmt::format("{:04x}:{:02x}:{:02x}.{:x}", domain, bus, device, function);
}

}  // namespace pollux::pci
