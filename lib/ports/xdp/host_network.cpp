// SPDX-License-Identifier: BSD-3-Clause
#include "ports/xdp/host_network.hpp"

#include <sys/socket.h>

#include <linux/rtnetlink.h>

#include <algorithm>
#include <bitset>
#include <cstring>
#include <optional>
#include <set>
#include <span>
#include <utility>

#include "net/flow/match_fields.hpp"
#include "netlink/socket.hpp"
#include "pollux/net/packet/ethernet.hpp"
#include "ports/xdp/links.hpp"

namespace pollux::xdp {
namespace {

// Routes.

struct Routes {
  std::set<unsigned> defaults;  ///< interfaces; 0: one that the kernel does not name
  std::vector<HostAddresses> owned;
};

void read_route(netlink::Bytes message, Routes& routes) {
  constexpr unsigned kDefaultBits = 8;
  const auto about = netlink::read<rtmsg>(message).value_or(rtmsg{});
  if (about.rtm_family != AF_INET && about.rtm_family != AF_INET6) return;
  HostAddresses to{.ipv6 = about.rtm_family == AF_INET6, .first = {}, .length = about.rtm_dst_len};
  std::set<unsigned> interfaces;
  netlink::for_each_attribute(netlink::after_header(message, sizeof about), [&](int type, netlink::Bytes data) {
    if (type == RTA_DST) std::memcpy(to.first.data(), data.data(), std::min(data.size(), to.first.size()));
    if (type == RTA_OIF) interfaces.insert(netlink::read<std::uint32_t>(data).value_or(0));
    if (type == RTA_MULTIPATH) {
      netlink::for_each_next_hop(data, [&](netlink::Bytes hop) {
        interfaces.insert(static_cast<unsigned>(netlink::read<rtnexthop>(hop).value_or(rtnexthop{}).rtnh_ifindex));
      });
    }
  });
  if (about.rtm_type == RTN_LOCAL || about.rtm_type == RTN_BROADCAST || about.rtm_type == RTN_ANYCAST) {
    routes.owned.push_back(to);
  } else if (about.rtm_type == RTN_UNICAST && to.length < kDefaultBits) {
    if (interfaces.empty()) interfaces.insert(0);  // a next hop object: the kernel may show its number alone
    routes.defaults.merge(interfaces);
  }
}

/// rtnetlink(7), RTM_GETROUTE. nullopt: the kernel does not say.
std::optional<Routes> read_routes() {
  auto socket = netlink::Socket::open();
  if (!socket) return std::nullopt;
  Routes routes;
  const auto read = socket->dump(
      RTM_GETROUTE, netlink::Payload(rtmsg{}), [&] { routes = {}; },
      [&](std::uint16_t type, netlink::Bytes message) {
        if (type == RTM_NEWROUTE) read_route(message, routes);
      });
  return read ? std::optional(std::move(routes)) : std::nullopt;
}

// Rules.

/// The values of two bytes that an item lets through.
struct Values {
  unsigned mask = 0;
  unsigned first = 0;
  unsigned last = 0;
  [[nodiscard]] bool has(unsigned value) const noexcept { return (value & mask) >= first && (value & mask) <= last; }
};

Values values_at(const MatchItem& item, std::size_t at) {
  if (item.spec.empty()) return {};
  const auto number = [at](std::span<const std::uint8_t> bytes) { return unsigned{bytes[at]} << 8 | bytes[at + 1]; };
  const unsigned mask = number(effective_mask(item));
  const unsigned first = number(item.spec) & mask;
  const unsigned last = item.last.empty() ? 0 : number(item.last);
  return {mask, first, last == 0 ? first : last & mask};
}

/// IEEE 802.3 lengths and the EtherTypes with which Linux reaches networks: include/uapi/linux/if_ether.h.
bool is_of_host(unsigned type) {
  constexpr unsigned kFirstType = 0x0600;
  constexpr std::array<unsigned, 17> kTypes{
      packet::ether_type::kIpv4,
      packet::ether_type::kArp,
      packet::ether_type::kIpv6,
      packet::ether_type::kVlan,
      packet::ether_type::kService,
      packet::ether_type::kOldQinq,
      0x8035,  // RARP
      0x8847,
      0x8848,  // MPLS
      0x8863,
      0x8864,  // PPPoE
      0x8809,  // link aggregation
      0x888E,  // IEEE 802.1X
      0x88E5,  // MACsec
      0x88CC,  // LLDP
      0x88FB,
      0x892F,  // PRP and HSR
  };
  return type < kFirstType || std::ranges::find(kTypes, type) != kTypes.end();
}

bool has_other_types(const MatchItem& item, std::size_t at) {
  const Values types = values_at(item, at);
  for (unsigned type = 0; type <= 0xFFFF; ++type) {
    if (types.has(type) && is_of_host(type)) return false;
  }
  return true;
}

bool has_other_vlans(const MatchItem& item) {
  const Values tags = values_at(item, 0);
  for (unsigned priority = 0; priority < 16; ++priority) {
    if (tags.has(priority << 12)) return false;
  }
  return true;
}

bool has_other_addresses(const MatchItem& item, const HostNetwork& host) {
  const bool ipv6 = item.protocol == MatchProtocol::ipv6;
  const std::size_t at = ipv6 ? 24 : 16;
  const std::size_t bytes = ipv6 ? 16 : 4;
  if (item.spec.empty()) return false;
  if (!item.last.empty() && std::any_of(&item.last[at], &item.last[at] + bytes, [](auto byte) { return byte != 0; })) {
    return false;
  }
  const auto mask = effective_mask(item).subspan(at, bytes);
  const auto spec = std::span(item.spec).subspan(at, bytes);
  const auto network = mask.first(ipv6 ? 8 : 3);
  if (std::ranges::any_of(network, [](auto byte) { return byte != 0xFF; })) return false;
  // Groups and broadcasts, this network and the loopback: RFC 6890, RFC 5771, RFC 4291.
  constexpr unsigned kLoopback = 127, kGroups4 = 224, kGroups6 = 0xFF;
  if (ipv6 ? spec[0] == kGroups6 : spec[0] == 0 || spec[0] == kLoopback || spec[0] >= kGroups4) return false;
  return std::ranges::none_of(host.owned, [&](const HostAddresses& owned) {
    if (owned.ipv6 != ipv6) return false;
    for (std::size_t bit = 0; bit < owned.length && bit < 8 * bytes; ++bit) {
      const unsigned one = 0x80U >> bit % 8;
      if ((mask[bit / 8] & (spec[bit / 8] ^ owned.first[bit / 8]) & one) != 0) return false;
    }
    return true;
  });
}

class Judge {
 public:
  explicit Judge(const HostNetwork& host) : host_(host) {}

  /// Whether this rule, with those before, leaves the host what it needs.
  [[nodiscard]] bool spares(const FlowRule& rule) {
    if (rule.action.kind == FlowAction::Kind::kernel) return true;
    if (std::ranges::any_of(rule.match, [this](const MatchItem& item) { return is_of_others(item); })) return true;
    for (const MatchItem& item : rule.match) {
      if (item.protocol == MatchProtocol::tcp) return adds_few(item, tcp_);
      if (item.protocol == MatchProtocol::udp) return adds_few(item, udp_);
    }
    return false;
  }

 private:
  using Ports = std::bitset<1U << 16>;

  [[nodiscard]] bool is_of_others(const MatchItem& item) const {
    switch (item.protocol) {
      case MatchProtocol::eth: return has_other_types(item, 12);
      case MatchProtocol::vlan: return has_other_types(item, 2) || (!host_.is_tagged && has_other_vlans(item));
      case MatchProtocol::ipv4:
      case MatchProtocol::ipv6: return has_other_addresses(item, host_);
      case MatchProtocol::sctp: return true;
      case MatchProtocol::tcp:
      case MatchProtocol::udp:
      case MatchProtocol::raw: return false;
    }
    return false;
  }
  [[nodiscard]] static bool adds_few(const MatchItem& item, Ports& ports) {
    const Values destinations = values_at(item, 2);
    for (unsigned port = 0; port < ports.size(); ++port) {
      if (destinations.has(port)) ports.set(port);
    }
    return ports.count() <= kMostPorts;
  }

  const HostNetwork& host_;
  Ports tcp_;
  Ports udp_;
};

}  // namespace

HostNetwork host_network(unsigned interface) {
  const auto links = read_links();
  const auto name_of = [&](unsigned index) {
    const auto link = std::ranges::find(links, index, &LinkEntry::index);
    return link == links.end() ? "an interface" : link->name;
  };
  // Where the kernel does not say, all is the host's.
  Routes routes = read_routes().value_or(Routes{.defaults = {0}, .owned = {{.ipv6 = false}, {.ipv6 = true}}});
  if (routes.defaults.contains(0)) return {name_of(interface), true, std::move(routes.owned)};
  HostNetwork host{.default_route = {}, .is_tagged = false, .owned = std::move(routes.owned)};
  for (const unsigned over : interfaces_over(links, interface)) {
    if (!routes.defaults.contains(over)) continue;
    if (host.default_route.empty() || over == interface) host.default_route = name_of(over);
    host.is_tagged = host.is_tagged || over != interface;
  }
  return host;
}

bool spares_host(const std::vector<PlacedRule>& rules, const HostNetwork& host) {
  Judge judge(host);
  return std::ranges::all_of(rules, [&](const PlacedRule& placed) { return judge.spares(placed.rule); });
}

}  // namespace pollux::xdp
