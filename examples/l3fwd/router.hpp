// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "l3fwd/routes.hpp"
#include "pollux/pollux.hpp"

namespace pollux::examples {

/// Forwards IP packets to the next hop of the longest prefix (RFC 1812, 5.2.1; RFC 8200, 3). It sends no ICMP and
/// answers no ARP: what it cannot forward it drops under a name.
/// Thread rule: one thread.
class Router {
 public:
  /// `routes` outlives the Router. `macs`: those of the ports, by index.
  Router(const Routes& routes, std::vector<MacAddress> macs) : routes_(routes), macs_(std::move(macs)) {}

  /// Prepares a frame that port `from` received for the next hop, and returns the port that has to send it. Otherwise
  /// returns the reason to drop it; the frame may then have changed.
  struct Outcome {
    std::uint16_t port = 0;
    DropCounter* drop = nullptr;
  };
  [[nodiscard]] Outcome route(Mbuf& frame, std::uint16_t from) noexcept;

  [[nodiscard]] std::uint64_t forwarded() const noexcept { return forwarded_; }
  [[nodiscard]] std::span<const DropCounter* const> drops() const noexcept { return drops_; }

 private:
  [[nodiscard]] DropCounter* forward_ipv4(std::span<std::uint8_t> packet, std::uint32_t packet_length,
                                          const NextHop*& hop) noexcept;
  [[nodiscard]] DropCounter* forward_ipv6(std::span<std::uint8_t> packet, std::uint32_t packet_length,
                                          const NextHop*& hop) noexcept;

  const Routes& routes_;
  std::vector<MacAddress> macs_;
  std::uint64_t forwarded_ = 0;
  DropCounter not_for_us_{"not_for_us"};    // another destination MAC address, or a group
  DropCounter not_ip_{"not_ip"};            // another EtherType, such as ARP or a VLAN tag
  DropCounter bad_header_{"bad_header"};    // version, length or checksum
  DropCounter ttl_expired_{"ttl_expired"};  // it would be 0
  DropCounter no_route_{"no_route"};        // also for addresses that routers do not forward
  std::vector<const DropCounter*> drops_{&not_for_us_, &not_ip_, &bad_header_, &ttl_expired_, &no_route_};
};

}  // namespace pollux::examples
