// SPDX-License-Identifier: BSD-3-Clause
#include "pci/interface_backup.hpp"

#include <linux/rtnetlink.h>
#include <net/if.h>

#include <cstddef>
#include <cstring>
#include <functional>
#include <utility>

#include "pci/netlink.hpp"

namespace pollux::pci {
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
    netlink::for_each_attribute(netlink::after_header(message, sizeof *link),
                                [&](std::uint16_t attribute, Bytes payload) {
                                  if (attribute == IFLA_MTU)
                                    backup.mtu = netlink::read<std::uint32_t>(payload).value_or(0);
                                  if (attribute == IFLA_MASTER)
                                    backup.master = netlink::read<std::uint32_t>(payload).value_or(0);
                                  if (attribute == IFLA_ADDRESS) backup.mac.assign(payload.begin(), payload.end());
                                });
  });
}

Result<void> save_addresses(netlink::Socket& socket, std::uint32_t index, InterfaceBackup& backup) {
  return socket.dump(
      RTM_GETADDR, netlink::Payload(ifaddrmsg{}), [&] { backup.addresses.clear(); },
      [&](std::uint16_t type, Bytes message) {
        const auto header = netlink::read<ifaddrmsg>(message);
        if (type != RTM_NEWADDR || !header || header->ifa_index != index) return;
        backup.addresses.emplace_back(message.begin(), message.end());
      });
}

std::uint32_t index_at(const std::byte* at) {
  std::uint32_t index = 0;
  std::memcpy(&index, at, sizeof index);
  return index;
}

/// Calls `found` with the place of each interface index in a route.
void for_each_index(std::vector<std::byte>& message, const std::function<void(std::byte* at)>& found) {
  const auto place = [&](const std::byte* at) { found(message.data() + (at - message.data())); };
  netlink::for_each_attribute(netlink::after_header(message, sizeof(rtmsg)), [&](std::uint16_t type, Bytes payload) {
    if (type == RTA_OIF && payload.size() >= sizeof(std::uint32_t)) place(payload.data());
    if (type != RTA_MULTIPATH) return;
    while (const auto hop = netlink::read<rtnexthop>(payload)) {
      if (hop->rtnh_len < sizeof *hop || hop->rtnh_len > payload.size()) break;
      place(payload.data() + offsetof(rtnexthop, rtnh_ifindex));
      payload = netlink::after_header(payload, hop->rtnh_len);
    }
  });
}

/// Routes that the kernel adds by itself with an address are left out.
bool is_saved_route(const rtmsg& route) {
  const bool is_ip = route.rtm_family == AF_INET || route.rtm_family == AF_INET6;
  return is_ip && route.rtm_type == RTN_UNICAST && route.rtm_table != RT_TABLE_LOCAL &&
         route.rtm_protocol != RTPROT_KERNEL && (route.rtm_flags & RTM_F_CLONED) == 0;
}

Result<void> save_routes(netlink::Socket& socket, std::uint32_t index, InterfaceBackup& backup) {
  return socket.dump(
      RTM_GETROUTE, netlink::Payload(rtmsg{}), [&] { backup.routes.clear(); },
      [&](std::uint16_t type, Bytes message) {
        const auto header = netlink::read<rtmsg>(message);
        if (type != RTM_NEWROUTE || !header || !is_saved_route(*header)) return;
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

/// A name and a hardware address can be set only while the interface is down.
Result<void> restore_link(netlink::Socket& socket, std::uint32_t index, const InterfaceBackup& backup) {
  netlink::Payload settings = link_message(index, false);
  const std::string name = backup.name + '\0';
  settings.add(IFLA_IFNAME, std::as_bytes(std::span(name)));
  if (backup.mtu != 0) settings.add(IFLA_MTU, backup.mtu);
  if (!backup.mac.empty()) settings.add(IFLA_ADDRESS, Bytes(backup.mac));
  if (backup.master != 0) settings.add(IFLA_MASTER, backup.master);
  if (auto down = socket.change(RTM_NEWLINK, 0, link_message(index, false)); !down) return down;
  if (auto set = socket.change(RTM_NEWLINK, 0, settings); !set) return set;
  return backup.up ? socket.change(RTM_NEWLINK, 0, link_message(index, true)) : Result<void>{};
}

}  // namespace

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
  Result<void> first_error = restore_link(*socket, *index, backup);
  const auto note = [&](Result<void>&& done) {
    if (first_error && !done) first_error = std::move(done);
  };
  for (std::vector<std::byte> address : backup.addresses) {
    std::memcpy(address.data() + offsetof(ifaddrmsg, ifa_index), &*index, sizeof *index);
    note(socket->change(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, netlink::Payload(Bytes(address))));
  }
  // A gateway has to be reachable by a route that is there already.
  for (const bool by_gateway : {false, true}) {
    for (std::vector<std::byte> route : backup.routes) {
      if (has_gateway(route) != by_gateway) continue;
      for_each_index(route, [&](std::byte* at) {
        if (index_at(at) == backup.index) std::memcpy(at, &*index, sizeof *index);
      });
      note(socket->change(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, netlink::Payload(Bytes(route))));
    }
  }
  return first_error;
}

}  // namespace pollux::pci
