// SPDX-License-Identifier: BSD-3-Clause
#include "listen_address.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <charconv>
#include <cstdint>

namespace pollux::tool {
namespace {

bool is_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size() && port != 0;
}

bool is_address(int family, std::string_view text) {
  in6_addr address{};
  return ::inet_pton(family, std::string(text).c_str(), &address) == 1;
}

}  // namespace

Result<std::string> listen_address(std::string_view text) {
  if (is_port(text)) return fmt::format("127.0.0.1:{}", text);
  const std::size_t colon = text.rfind(':');
  const std::string_view host = text.substr(0, colon);
  const bool is_ipv6 = host.size() > 2 && host.front() == '[' && host.back() == ']';
  const bool valid = is_ipv6 ? is_address(AF_INET6, host.substr(1, host.size() - 2)) : is_address(AF_INET, host);
  if (colon != std::string_view::npos && valid && is_port(text.substr(colon + 1))) return std::string(text);
  return fail(ErrorCode::invalid_argument, fmt::format("'{}' is not an address to listen at", text),
              "write PORT or 127.0.0.1:PORT; 0.0.0.0:PORT is for all interfaces");
}

}  // namespace pollux::tool
