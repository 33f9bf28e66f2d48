// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/host/interface_backup.hpp"

#include <linux/rtnetlink.h>
#include <net/if.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>
#include <optional>
#include <span>
#include <utility>

#include "host/network_reader.hpp"
#include "netlink/socket.hpp"

namespace pollux::host {
namespace {

using netlink::Bytes;

Result<std::uint32_t> index_of(const std::string& name) {
  const std::uint32_t index = ::if_nametoindex(name.c_str());
  if (index != 0) return index;
  return fail(ErrorCode::not_found, "there is no network interface " + name, "see `ip link`");
}

Result<void> save_link(netlink::Socket& socket, std::uint32_t index, InterfaceBackup& backup) {
  ifinfomsg header{};
  header.ifi_index = static_cast<int>(index);
  return socket.get(RTM_GETLINK, netlink::Payload(header), [&](std::uint16_t type, Bytes message) {
    const auto link = netlink::read<ifinfomsg>(message);
    if (type != RTM_NEWLINK || !link) return;
    backup.up = (link->ifi_flags & IFF_UP) != 0;
    const Bytes attributes = netlink::after_header(message, sizeof *link);
    const Bytes mac = netlink::find_attribute(attributes, IFLA_ADDRESS);
    backup.mtu = netlink::read<std::uint32_t>(netlink::find_attribute(attributes, IFLA_MTU)).value_or(0);
    backup.master = netlink::read<std::uint32_t>(netlink::find_attribute(attributes, IFLA_MASTER)).value_or(0);
    backup.mac.assign(mac.begin(), mac.end());
  });
}

/// IFA_PROTO of addresses since Linux 5.18 (linux/if_addr.h), and its value for those that the kernel adds to each
/// link.
constexpr std::uint16_t kAddressProtocol = 11;
constexpr std::uint8_t kAddedToLink = 3;

/// The last eight bytes of the address that the kernel derives from a MAC address (RFC 4291, appendix A).
std::array<std::uint8_t, 8> interface_identifier(Bytes mac) {
  const auto at = [&](std::size_t index) { return std::to_integer<std::uint8_t>(mac[index]); };
  return {static_cast<std::uint8_t>(at(0) ^ 2U), at(1), at(2), 0xFF, 0xFE, at(3), at(4), at(5)};
}

/// Whether the kernel adds the address by itself, to the interface that takes this one's place, too.
bool is_automatic_address(Bytes message, Bytes mac) {
  const auto address = read_address(message);
  if (!address || !address->prefix.v6 || !address->prefix.is_link_local()) return false;
  const Bytes protocol = netlink::find_attribute(netlink::after_header(message, sizeof(ifaddrmsg)), kAddressProtocol);
  if (netlink::read<std::uint8_t>(protocol) == kAddedToLink) return true;
  if (mac.size() != 6) return false;
  const auto derived = interface_identifier(mac);
  return std::equal(derived.begin(), derived.end(), address->prefix.bytes.begin() + 8);
}

Result<void> save_addresses(netlink::Socket& socket, std::uint32_t index, InterfaceBackup& backup) {
  return socket.dump(
      RTM_GETADDR, netlink::Payload(ifaddrmsg{}), [&] { backup.addresses.clear(); },
      [&](std::uint16_t type, Bytes message) {
        const auto header = netlink::read<ifaddrmsg>(message);
        if (type != RTM_NEWADDR || !header || header->ifa_index != index) return;
        if (is_automatic_address(message, backup.mac)) return;
        backup.addresses.emplace_back(message.begin(), message.end());
      });
}

std::uint32_t flags_of_address(Bytes message) {
  const Bytes flags = netlink::find_attribute(netlink::after_header(message, sizeof(ifaddrmsg)), IFA_FLAGS);
  return netlink::read<std::uint32_t>(flags).value_or(0);
}

/// Whether the kernel adds no route for the networks of the interface's addresses, as NetworkManager asks it to.
bool has_own_network_routes(const InterfaceBackup& backup) {
  return std::any_of(backup.addresses.begin(), backup.addresses.end(),
                     [](Bytes address) { return (flags_of_address(address) & IFA_F_NOPREFIXROUTE) != 0; });
}

std::uint32_t index_at(const std::byte* at) {
  std::uint32_t index = 0;
  std::memcpy(&index, at, sizeof index);
  return index;
}

/// Calls `found` with the place of each next hop (rtnexthop) of a route that has several.
void for_each_next_hop(std::vector<std::byte>& message, const std::function<void(std::byte* at)>& found) {
  const Bytes hops = netlink::find_attribute(netlink::after_header(message, sizeof(rtmsg)), RTA_MULTIPATH);
  netlink::for_each_next_hop(hops, [&](Bytes hop) { found(message.data() + (hop.data() - message.data())); });
}

/// Calls `found` with the place of each interface index in a route.
void for_each_index(std::vector<std::byte>& message, const std::function<void(std::byte* at)>& found) {
  netlink::for_each_attribute(netlink::after_header(message, sizeof(rtmsg)), [&](std::uint16_t type, Bytes payload) {
    if (type == RTA_OIF && payload.size() >= sizeof(std::uint32_t))
      found(message.data() + (payload.data() - message.data()));
  });
  for_each_next_hop(message, [&](std::byte* at) { found(at + offsetof(rtnexthop, rtnh_ifindex)); });
}

bool is_link_local_route(Bytes message) {
  const Bytes destination = netlink::find_attribute(netlink::after_header(message, sizeof(rtmsg)), RTA_DST);
  const auto first = netlink::read<std::array<std::uint8_t, 2>>(destination);
  return first && (*first)[0] == 0xFE && ((*first)[1] & 0xC0) == 0x80;
}

/// Whether a router has announced the route for a time. The next announcement brings it again; without its lifetime it
/// would stay also after the router has gone.
bool is_announced_for_a_time(const rtmsg& route, Bytes message) {
  if (route.rtm_protocol != RTPROT_RA) return false;
  const Bytes value = netlink::find_attribute(netlink::after_header(message, sizeof route), RTA_CACHEINFO);
  const auto cached = netlink::read<rta_cacheinfo>(value);
  return cached && cached->rta_expires != 0;
}

/// Routes that the kernel adds by itself are left out: with an address, to each link, or from a router's announcement.
bool is_saved_route(const rtmsg& route, Bytes message, bool own_network_routes) {
  const bool is_ip = route.rtm_family == AF_INET || route.rtm_family == AF_INET6;
  if (!is_ip || route.rtm_type != RTN_UNICAST || route.rtm_table == RT_TABLE_LOCAL) return false;
  if ((route.rtm_flags & RTM_F_CLONED) != 0) return false;
  if (is_announced_for_a_time(route, message)) return false;
  if (route.rtm_protocol != RTPROT_KERNEL) return true;
  return own_network_routes && !(route.rtm_family == AF_INET6 && is_link_local_route(message));
}

Result<void> save_routes(netlink::Socket& socket, std::uint32_t index, InterfaceBackup& backup) {
  const bool own_network_routes = has_own_network_routes(backup);
  return socket.dump(
      RTM_GETROUTE, netlink::Payload(rtmsg{}), [&] { backup.routes.clear(); },
      [&](std::uint16_t type, Bytes message) {
        const auto header = netlink::read<rtmsg>(message);
        if (type != RTM_NEWROUTE || !header || !is_saved_route(*header, message, own_network_routes)) return;
        std::vector<std::byte> copy(message.begin(), message.end());
        bool leads_here = false;
        for_each_index(copy, [&](const std::byte* at) { leads_here = leads_here || index_at(at) == index; });
        if (leads_here) backup.routes.push_back(std::move(copy));
      });
}

bool has_gateway(Bytes route) {
  bool found = false;
  netlink::for_each_attribute(netlink::after_header(route, sizeof(rtmsg)), [&](std::uint16_t type, Bytes) {
    found = found || type == RTA_GATEWAY || type == RTA_VIA || type == RTA_MULTIPATH;
  });
  return found;
}

netlink::Payload link_message(std::uint32_t index, bool up) {
  ifinfomsg header{};
  header.ifi_index = static_cast<int>(index);
  header.ifi_flags = up ? static_cast<unsigned>(IFF_UP) : 0U;
  header.ifi_change = IFF_UP;
  return netlink::Payload(header);
}

Result<void> set_up(netlink::Socket& socket, std::uint32_t index, bool up) {
  return socket.change(RTM_NEWLINK, 0, link_message(index, up));
}

/// Leaves it up or down, as it is.
template <class Value>
Result<void> set_attribute(netlink::Socket& socket, std::uint32_t index, std::uint16_t attribute, Value value) {
  ifinfomsg header{};
  header.ifi_index = static_cast<int>(index);
  return socket.change(RTM_NEWLINK, 0, netlink::Payload(header).add(attribute, value));
}

/// Keeps the first of several errors.
class FirstError {
 public:
  void note(Result<void> done) {
    if (first_ && !done) first_ = std::move(done);
  }
  [[nodiscard]] Result<void> take() { return std::move(first_); }

 private:
  Result<void> first_;
};

/// A name and a hardware address can be set only while the interface is down.
Result<void> restore_link(netlink::Socket& socket, std::uint32_t index, const std::string& current_name,
                          const InterfaceBackup& backup) {
  InterfaceBackup now;
  if (auto read = save_link(socket, index, now); !read) return read;
  const bool same_mac = backup.mac.empty() || backup.mac == now.mac;
  const bool same_name = backup.name == current_name;
  FirstError errors;
  const auto set = [&](std::uint16_t attribute, auto value) {
    errors.note(set_attribute(socket, index, attribute, value));
  };
  if (now.up && !(same_mac && same_name && backup.up)) errors.note(set_up(socket, index, false));
  if (!same_name) {
    const std::string name = backup.name + '\0';
    set(IFLA_IFNAME, std::as_bytes(std::span(name)));
  }
  if (backup.mtu != 0 && backup.mtu != now.mtu) set(IFLA_MTU, backup.mtu);
  if (!same_mac) set(IFLA_ADDRESS, Bytes(backup.mac));
  if (backup.master != 0 && backup.master != now.master) set(IFLA_MASTER, backup.master);
  if (backup.up) errors.note(set_up(socket, index, true));
  return errors.take();
}

/// Duplicate address detection would keep an IPv6 address, and routes from it, unusable for a second or two. The
/// address was this machine's before.
std::uint32_t with_no_detection(Bytes flags) { return netlink::read<std::uint32_t>(flags).value_or(0) | IFA_F_NODAD; }

netlink::Payload address_message(Bytes saved, std::uint32_t index, bool same_name) {
  auto header = netlink::read<ifaddrmsg>(saved).value_or(ifaddrmsg{});
  header.ifa_index = index;
  netlink::Payload message(header);
  netlink::for_each_attribute(netlink::after_header(saved, sizeof header), [&](std::uint16_t type, Bytes value) {
    if (type == IFA_LABEL && !same_name) return;  // it begins with the name
    if (type == IFA_FLAGS && header.ifa_family == AF_INET6)
      message.add(type, with_no_detection(value));
    else
      message.add(type, value);
  });
  return message;
}

/// The kernel reports in these flags what the state of the link was, too, and rejects that in a request.
constexpr unsigned kSettableNextHopFlags = RTNH_F_ONLINK | RTNH_F_PERVASIVE;

rtnexthop hop_at(const std::byte* at) {
  rtnexthop hop{};
  std::memcpy(&hop, at, sizeof hop);
  return hop;
}

/// Makes a route of the interface `before` one of the interface `index`.
void move_route(std::vector<std::byte>& saved, std::uint32_t before, std::uint32_t index) {
  for_each_index(saved, [&](std::byte* at) {
    if (index_at(at) == before) std::memcpy(at, &index, sizeof index);
  });
  auto header = netlink::read<rtmsg>(saved).value_or(rtmsg{});
  header.rtm_flags &= kSettableNextHopFlags;
  std::memcpy(saved.data(), &header, sizeof header);
  for_each_next_hop(saved, [](std::byte* at) {
    rtnexthop hop = hop_at(at);
    hop.rtnh_flags = static_cast<unsigned char>(hop.rtnh_flags & kSettableNextHopFlags);
    std::memcpy(at, &hop, sizeof hop);
  });
}

netlink::Payload with_one_next_hop(Bytes route, Bytes hop) {
  netlink::Payload message(netlink::read<rtmsg>(route).value_or(rtmsg{}));
  netlink::for_each_attribute(netlink::after_header(route, sizeof(rtmsg)), [&](std::uint16_t type, Bytes value) {
    message.add(type, type == RTA_MULTIPATH ? hop : value);
  });
  return message;
}

/// IPv6 has a route of its own for each next hop, and keeps those by other interfaces when one interface goes. So only
/// the next hops by this interface are added.
std::vector<netlink::Payload> route_messages(std::vector<std::byte> saved, std::uint32_t before, std::uint32_t index) {
  move_route(saved, before, index);
  std::vector<netlink::Payload> messages;
  if (netlink::read<rtmsg>(saved).value_or(rtmsg{}).rtm_family == AF_INET6) {
    for_each_next_hop(saved, [&](std::byte* at) {
      const rtnexthop hop = hop_at(at);
      if (static_cast<std::uint32_t>(hop.rtnh_ifindex) != index) return;
      messages.push_back(with_one_next_hop(saved, Bytes(at, hop.rtnh_len)));
    });
  }
  if (messages.empty()) messages.emplace_back(Bytes(saved));
  return messages;
}

Result<void> about(const std::string& what, Result<void> done) {
  if (!done) done.error().what = what + ": " + done.error().what;
  return done;
}

std::string text_of(const std::optional<IpPrefix>& prefix) { return prefix ? prefix->to_string() : "an address"; }

void restore_network(netlink::Socket& socket, std::uint32_t index, bool same_name, const InterfaceBackup& backup,
                     FirstError& errors) {
  constexpr std::uint16_t kReplace = NLM_F_CREATE | NLM_F_REPLACE;
  for (const std::vector<std::byte>& saved : backup.addresses) {
    const auto address = read_address(saved);
    errors.note(about(text_of(address ? std::optional(address->prefix) : std::nullopt),
                      socket.change(RTM_NEWADDR, kReplace, address_message(saved, index, same_name))));
  }
  // A gateway has to be reachable by a route that is there already. Another interface may have a route to the same
  // destination with the same metric meanwhile, and keeps it.
  for (const bool by_gateway : {false, true}) {
    for (const std::vector<std::byte>& route : backup.routes) {
      if (has_gateway(route) != by_gateway) continue;
      for (const netlink::Payload& message : route_messages(route, backup.index, index)) {
        errors.note(about("the route to " + text_of(read_destination(route)), socket.add(RTM_NEWROUTE, message)));
      }
    }
  }
}

}  // namespace

std::vector<IpPrefix> addresses_of(const InterfaceBackup& backup) {
  std::vector<IpPrefix> prefixes;
  for (const std::vector<std::byte>& saved : backup.addresses) {
    if (const auto address = read_address(saved)) prefixes.push_back(address->prefix);
  }
  return prefixes;
}

Result<InterfaceBackup> back_up_interface(const std::string& name) {
  const auto index = index_of(name);
  if (!index) return tl::unexpected<Error>(index.error());
  auto socket = netlink::Socket::open();
  if (!socket) return pass_on(std::move(socket));
  InterfaceBackup backup;
  backup.name = name;
  backup.index = *index;
  for (const auto save : {&save_link, &save_addresses, &save_routes}) {
    if (auto saved = save(*socket, *index, backup); !saved) return pass_on(std::move(saved));
  }
  return backup;
}

Result<void> restore_interface(const InterfaceBackup& backup, const std::string& current_name) {
  const auto index = index_of(current_name);
  if (!index) return tl::unexpected<Error>(index.error());
  auto socket = netlink::Socket::open();
  if (!socket) return pass_on(std::move(socket));
  FirstError errors;
  errors.note(restore_link(*socket, *index, current_name, backup));
  restore_network(*socket, *index, true, backup, errors);
  return errors.take();
}

Result<void> hand_network_to(const InterfaceBackup& backup, const std::string& interface) {
  const auto index = index_of(interface);
  if (!index) return tl::unexpected<Error>(index.error());
  auto socket = netlink::Socket::open();
  if (!socket) return pass_on(std::move(socket));
  FirstError errors;
  if (backup.master != 0) errors.note(set_attribute(*socket, *index, IFLA_MASTER, backup.master));
  if (backup.up) errors.note(set_up(*socket, *index, true));
  restore_network(*socket, *index, backup.name == interface, backup, errors);
  return errors.take();
}

}  // namespace pollux::host
