// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "l3fwd/prefix_table.hpp"
#include "pollux/pollux.hpp"

namespace pollux::examples {

/// Where packets go next.
struct NextHop {
  std::uint16_t port = 0;  ///< index of the port
  MacAddress mac{};        ///< of the next router, or of the host
};

/// IPv4 and IPv6 routes. Each is one line of text: a prefix, the index of a port, and the MAC address of the next hop,
/// such as "10.1.0.0/16 1 02:00:00:00:00:01" or "2001:db8::/32 0 02:00:00:00:00:02".
/// Thread rule: as PrefixTable.
class Routes {
 public:
  static constexpr std::size_t kMaxRoutes = 65'535;

  /// `ports`: how many there are.
  explicit Routes(std::uint16_t ports) : ports_(ports) {}

  /// Adds the route of one line. Errors: invalid_argument, which says what is wrong with the line; nothing changes.
  [[nodiscard]] Result<void> add(const std::string& line);
  /// Adds the routes of a file. Empty lines, and what follows a '#', are ignored. Errors: as `add`, with the number of
  /// the line; io_error if the file cannot be read. The routes before that line stay, so discard the object then.
  [[nodiscard]] Result<void> add_file(const std::string& path);

  /// The next hop of the longest prefix; nullptr: there is no route. `address` has 4 or 16 bytes.
  [[nodiscard]] const NextHop* find(std::span<const std::uint8_t> address) const noexcept {
    const auto index = (address.size() == 4 ? ipv4_ : ipv6_).find(address);
    return index ? &hops_[*index] : nullptr;
  }
  [[nodiscard]] std::size_t size() const noexcept { return hops_.size(); }

 private:
  std::uint16_t ports_;
  PrefixTable ipv4_;
  PrefixTable ipv6_;
  std::vector<NextHop> hops_;  // one a route
  std::set<std::pair<std::vector<std::uint8_t>, unsigned>> known_;
};

/// An IPv4 address as 4 bytes, or an IPv6 address as 16; nullopt if `text` is neither.
[[nodiscard]] std::optional<std::vector<std::uint8_t>> parse_address(const std::string& text);

}  // namespace pollux::examples
