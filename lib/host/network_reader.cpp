// SPDX-License-Identifier: BSD-3-Clause
#include "host/network_reader.hpp"

#include <linux/ethtool.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "base/file_descriptor.hpp"
#include "netlink/socket.hpp"

namespace pollux::host {
namespace {

using netlink::Bytes;

// rtnetlink reports the bus device of an interface since Linux 5.14. Older kernels report it only through ethtool.
std::string query_ethtool(const std::string& interface) {
  const FileDescriptor socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ethtool_drvinfo answer{};
  answer.cmd = ETHTOOL_GDRVINFO;
  ifreq request{};
  if (!socket || interface.size() >= sizeof request.ifr_name) return {};
  std::memcpy(request.ifr_name, interface.data(), interface.size());
  request.ifr_data = reinterpret_cast<char*>(&answer);
  if (::ioctl(socket.get(), SIOCETHTOOL, &request) != 0) return {};
  return {answer.bus_info, ::strnlen(answer.bus_info, sizeof answer.bus_info)};
}

void add_link(NetworkNamespace& into, Bytes message, NamespaceNumbers& numbers) {
  const auto header = netlink::read<ifinfomsg>(message);
  if (!header) return;
  NetworkLink link;
  link.index = static_cast<std::uint32_t>(header->ifi_index);
  netlink::for_each_attribute(netlink::after_header(message, sizeof *header), [&](std::uint16_t type, Bytes payload) {
    switch (type) {
      case IFLA_IFNAME: link.name = netlink::read_string(payload); break;
      case IFLA_LINKINFO: link.kind = netlink::read_string(netlink::find_attribute(payload, IFLA_INFO_KIND)); break;
      case IFLA_PARENT_DEV_NAME: link.parent_device = netlink::read_string(payload); break;
      case IFLA_MASTER: link.master = netlink::read<std::uint32_t>(payload).value_or(0); break;
      case IFLA_LINK: link.lower = netlink::read<std::uint32_t>(payload).value_or(0); break;
      case IFLA_LINK_NETNSID:
        numbers[link.index] = netlink::read<std::int32_t>(payload).value_or(-1);
        link.lower_namespace = NetworkLink::kUnknownNamespace;
        break;
      default: break;
    }
  });
  if (link.parent_device.empty() && link.kind.empty()) link.parent_device = query_ethtool(link.name);
  into.links.push_back(std::move(link));
}

std::optional<IpPrefix> read_prefix(std::uint8_t family, std::uint8_t length, Bytes bytes) {
  IpPrefix prefix;
  prefix.v6 = family == AF_INET6;
  prefix.length = length;
  const std::size_t size = prefix.v6 ? 16 : 4;
  if (bytes.size() < size || length > size * 8) return std::nullopt;
  std::memcpy(prefix.bytes.data(), bytes.data(), size);
  return prefix;
}

std::vector<std::pair<std::uint32_t, bool>> read_next_hops(Bytes bytes) {
  std::vector<std::pair<std::uint32_t, bool>> hops;
  netlink::for_each_next_hop(bytes, [&](Bytes hop) {
    const auto header = netlink::read<rtnexthop>(hop).value_or(rtnexthop{});
    const Bytes attributes = netlink::after_header(hop, sizeof header);
    const bool gateway = !netlink::find_attribute(attributes, RTA_GATEWAY).empty() ||
                         !netlink::find_attribute(attributes, RTA_VIA).empty();
    hops.emplace_back(static_cast<std::uint32_t>(header.rtnh_ifindex), gateway);
  });
  return hops;
}

void add_route(NetworkNamespace& into, Bytes message) {
  const auto header = netlink::read<rtmsg>(message);
  const auto destination = read_destination(message);
  if (!header || !destination || (header->rtm_flags & RTM_F_CLONED) != 0) return;
  LinkRoute route;
  route.destination = *destination;
  route.unicast = header->rtm_type == RTN_UNICAST;
  route.table = header->rtm_table;
  std::vector<std::pair<std::uint32_t, bool>> hops;
  netlink::for_each_attribute(netlink::after_header(message, sizeof *header), [&](std::uint16_t type, Bytes payload) {
    switch (type) {
      case RTA_OIF: route.link = netlink::read<std::uint32_t>(payload).value_or(0); break;
      case RTA_GATEWAY:
      case RTA_VIA: route.has_gateway = true; break;
      case RTA_TABLE: route.table = netlink::read<std::uint32_t>(payload).value_or(route.table); break;
      case RTA_MULTIPATH: hops = read_next_hops(payload); break;
      default: break;
    }
  });
  if (hops.empty()) hops.emplace_back(route.link, route.has_gateway);
  for (const auto& [link, gateway] : hops) {
    route.link = link;
    route.has_gateway = gateway;
    into.routes.push_back(route);
  }
}

Result<void> dump_links(netlink::Socket& socket, NetworkNamespace& into, NamespaceNumbers& numbers) {
  netlink::Payload request(ifinfomsg{});
  request.add(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
  return socket.dump(
      RTM_GETLINK, request,
      [&] {
        into.links.clear();
        numbers.clear();
      },
      [&](std::uint16_t type, Bytes message) {
        if (type == RTM_NEWLINK) add_link(into, message, numbers);
      });
}

Result<void> dump_addresses(netlink::Socket& socket, NetworkNamespace& into) {
  return socket.dump(
      RTM_GETADDR, netlink::Payload(ifaddrmsg{}), [&] { into.addresses.clear(); },
      [&](std::uint16_t type, Bytes message) {
        const auto address = read_address(message);
        if (type == RTM_NEWADDR && address) into.addresses.push_back(*address);
      });
}

// A kernel without support for `family` returns routes of other families; they are skipped.
Result<void> dump_routes(netlink::Socket& socket, NetworkNamespace& into, std::uint8_t family) {
  rtmsg header{};
  header.rtm_family = family;
  std::vector<LinkRoute> before = into.routes;
  return socket.dump(
      RTM_GETROUTE, netlink::Payload(header), [&] { into.routes = before; },
      [&](std::uint16_t type, Bytes message) {
        const auto found = netlink::read<rtmsg>(message);
        if (type == RTM_NEWROUTE && found && found->rtm_family == family) add_route(into, message);
      });
}

}  // namespace

std::optional<LinkAddress> read_address(Bytes message) {
  const auto header = netlink::read<ifaddrmsg>(message);
  if (!header || (header->ifa_family != AF_INET && header->ifa_family != AF_INET6)) return std::nullopt;
  const Bytes attributes = netlink::after_header(message, sizeof *header);
  const auto prefix = [&](std::uint16_t type) {
    return read_prefix(header->ifa_family, header->ifa_prefixlen, netlink::find_attribute(attributes, type));
  };
  // On a point-to-point link IFA_ADDRESS is the address of the other end. IPv6 has IFA_LOCAL only on such links.
  const auto local = prefix(IFA_LOCAL);
  const auto own = local ? local : prefix(IFA_ADDRESS);
  if (!own) return std::nullopt;
  return LinkAddress{header->ifa_index, *own, header->ifa_scope == RT_SCOPE_HOST};
}

std::optional<IpPrefix> read_destination(Bytes message) {
  const auto header = netlink::read<rtmsg>(message);
  if (!header || (header->rtm_family != AF_INET && header->rtm_family != AF_INET6)) return std::nullopt;
  const Bytes destination = netlink::find_attribute(netlink::after_header(message, sizeof *header), RTA_DST);
  if (!destination.empty()) return read_prefix(header->rtm_family, header->rtm_dst_len, destination);
  // A default route has no attribute for its destination.
  return IpPrefix{.v6 = header->rtm_family == AF_INET6, .bytes = {}, .length = header->rtm_dst_len};
}

Result<void> read_links(NetworkNamespace& into, NamespaceNumbers& numbers) {
  auto socket = netlink::Socket::open();
  if (!socket) return pass_on(std::move(socket));
  return dump_links(*socket, into, numbers);
}

Result<void> read_addresses_and_routes(NetworkNamespace& into) {
  auto socket = netlink::Socket::open();
  if (!socket) return pass_on(std::move(socket));
  if (auto addresses = dump_addresses(*socket, into); !addresses) return addresses;
  if (auto routes = dump_routes(*socket, into, AF_INET); !routes) return routes;
  return dump_routes(*socket, into, AF_INET6);
}

std::int32_t namespace_number(int descriptor) {
  std::int32_t number = -1;
  auto socket = netlink::Socket::open();
  if (!socket) return number;
  netlink::Payload request(rtgenmsg{});
  request.add(NETNSA_FD, static_cast<std::uint32_t>(descriptor));
  const auto asked = socket->get(RTM_GETNSID, request, [&](std::uint16_t type, Bytes message) {
    if (type != RTM_NEWNSID) return;
    const Bytes found = netlink::find_attribute(netlink::after_header(message, sizeof(rtgenmsg)), NETNSA_NSID);
    number = netlink::read<std::int32_t>(found).value_or(-1);
  });
  return asked ? number : -1;
}

}  // namespace pollux::host
