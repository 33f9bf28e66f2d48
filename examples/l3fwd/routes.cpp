// SPDX-License-Identifier: BSD-3-Clause
#include "l3fwd/routes.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <cerrno>
#include <charconv>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

#include "command_line.hpp"

namespace pollux::examples {
namespace {

constexpr const char* kExample = "write it like 10.1.0.0/16 1 02:00:00:00:00:01";

/// Some editors begin a text in UTF-8 with it.
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
/// Far more than kMaxRoutes need.
constexpr std::uintmax_t kMaxFileBytes = 64 << 20;

/// Whether all bits after the first `length` are zero.
bool ends_in_zeros(std::span<const std::uint8_t> prefix, unsigned length) {
  for (std::size_t bit = length; bit < prefix.size() * 8; ++bit) {
    if ((prefix[bit / 8] >> (7 - bit % 8) & 1) != 0) return false;
  }
  return true;
}

/// Six pairs of digits.
std::optional<MacAddress> parse_mac(const std::string& text) {
  MacAddress mac{};
  if (text.size() != 17) return std::nullopt;
  for (std::size_t i = 0; i < mac.size(); ++i) {
    const char* const digits = text.data() + 3 * i;
    const auto [stop, error] = std::from_chars(digits, digits + 2, mac[i], 16);
    if (error != std::errc{} || stop != digits + 2 || (i + 1 < mac.size() && *stop != ':')) return std::nullopt;
  }
  return mac;
}

tl::unexpected<Error> bad(std::string what, const char* hint = kExample) {
  return fail(ErrorCode::invalid_argument, std::move(what), hint);
}

}  // namespace

std::optional<std::vector<std::uint8_t>> parse_address(const std::string& text) {
  std::vector<std::uint8_t> bytes(text.find(':') == std::string::npos ? 4 : 16);
  if (inet_pton(bytes.size() == 4 ? AF_INET : AF_INET6, text.c_str(), bytes.data()) != 1) return std::nullopt;
  return bytes;
}

Result<void> Routes::add(const std::string& line) {
  std::istringstream words(line);
  std::string prefix;
  std::string port;
  std::string mac;
  std::string more;
  if (!(words >> prefix >> port >> mac) || words >> more)
    return bad(fmt::format("'{}' is not a prefix, a port and a MAC address", line));
  const std::size_t slash = prefix.find('/');
  const auto address = parse_address(prefix.substr(0, slash));
  if (!address || slash == std::string::npos) return bad(fmt::format("'{}' is not a prefix", prefix));
  const auto length = read_number(prefix.substr(slash + 1), 0U, static_cast<unsigned>(address->size() * 8));
  if (!length) return bad(fmt::format("'{}' has no length from 0 to {}", prefix, address->size() * 8));
  if (!ends_in_zeros(*address, *length))
    return bad(fmt::format("'{}' has bits beyond its length", prefix), "clear them, or make the prefix longer");
  const auto index = read_number(port, 0U, ports_ - 1U);
  if (!index)
    return bad(fmt::format("'{}' is not a port from 0 to {}", port, ports_ - 1), "count the ports of the command line");
  const auto hop = parse_mac(mac);
  if (!hop || (hop->front() & 1) != 0 || *hop == MacAddress{})
    return bad(fmt::format("'{}' is not a MAC address of one station", mac));
  if (hops_.size() == kMaxRoutes)
    return bad(fmt::format("there are more than {} routes", kMaxRoutes), "leave some out");
  if (!known_.emplace(*address, *length).second)
    return bad(fmt::format("there is a route for '{}' already", prefix), "remove one of them");
  (address->size() == 4 ? ipv4_ : ipv6_).insert(*address, *length, static_cast<std::uint16_t>(hops_.size()));
  hops_.push_back({.port = static_cast<std::uint16_t>(*index), .mac = *hop});
  return {};
}

Result<void> Routes::add_file(const std::string& path) {
  std::error_code unknown;
  const std::uintmax_t bytes = std::filesystem::file_size(path, unknown);  // only regular files have one
  if (unknown || bytes > kMaxFileBytes)
    return bad(fmt::format("cannot read {}: {}", path, unknown ? unknown.message() : "it is too long"),
               "name a file with one route a line");
  std::ifstream file(path);
  if (!file) return fail_errno(ErrorCode::io_error, fmt::format("cannot read {}", path), errno, "name another file");
  std::string line;
  for (unsigned number = 1; std::getline(file, line); ++number) {
    if (number == 1 && line.starts_with(kByteOrderMark)) line.erase(0, kByteOrderMark.size());
    line.resize(std::min(line.find('#'), line.size()));
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    if (auto added = add(line); !added) {
      Error error = std::move(added).error();
      error.what = fmt::format("{}, line {}: {}", path, number, error.what);
      return tl::unexpected(std::move(error));
    }
  }
  if (file.bad()) return fail(ErrorCode::io_error, fmt::format("cannot read {}", path), "name another file");
  return {};
}

}  // namespace pollux::examples
