// SPDX-License-Identifier: BSD-3-Clause
#include "ports/xdp/links.hpp"

#include <fmt/format.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <utility>

#include "ports/xdp/bpf/calls.hpp"

namespace pollux::xdp {
namespace {

using netlink::Bytes;

std::uint32_t number_in(Bytes data) { return netlink::read<std::uint32_t>(data).value_or(0); }

void read_program(Bytes attributes, LinkEntry& entry) {
  netlink::for_each_attribute(attributes, [&](int type, Bytes data) {
    // With programs in several places there is no single one.
    const bool is_id = type == IFLA_XDP_PROG_ID || type == IFLA_XDP_DRV_PROG_ID || type == IFLA_XDP_SKB_PROG_ID ||
                       type == IFLA_XDP_HW_PROG_ID;
    if (is_id && entry.program == 0) entry.program = number_in(data);
  });
}

/// Whether an interface of that kind is an end of a pair: it refers to the other end, on which it does not lie.
bool is_of_a_pair(Bytes attributes) {
  const std::string kind = netlink::read_string(netlink::find_attribute(attributes, IFLA_INFO_KIND));
  return kind == "veth" || kind == "netkit";
}

void read_entry(std::uint16_t message_type, Bytes message, std::vector<LinkEntry>& entries) {
  const auto about = netlink::read<ifinfomsg>(message);
  if (message_type != RTM_NEWLINK || !about) return;
  LinkEntry entry{.index = static_cast<unsigned>(about->ifi_index), .name = {}};
  bool is_elsewhere = false;  // what it refers to is in another network namespace
  bool is_pair = false;
  netlink::for_each_attribute(netlink::after_header(message, sizeof *about), [&](int type, Bytes data) {
    switch (type) {
      case IFLA_IFNAME: entry.name = netlink::read_string(data); break;
      case IFLA_CARRIER: entry.has_carrier = netlink::read<std::uint8_t>(data).value_or(0) != 0; break;
      case IFLA_MASTER: entry.master = number_in(data); break;
      case IFLA_LINK: entry.lower = number_in(data); break;
      case IFLA_LINK_NETNSID: is_elsewhere = true; break;
      case IFLA_LINKINFO: is_pair = is_of_a_pair(data); break;
      case IFLA_XDP: read_program(data, entry); break;
      default: break;
    }
  });
  if (is_elsewhere || is_pair || entry.lower == entry.index) entry.lower = 0;
  entries.push_back(std::move(entry));
}

}  // namespace

std::vector<LinkEntry> read_links() {
  std::vector<LinkEntry> entries;
  auto socket = netlink::Socket::open();
  if (!socket) return entries;
  const auto read = socket->dump(
      RTM_GETLINK, netlink::Payload(ifinfomsg{}), [&] { entries.clear(); },
      [&](std::uint16_t type, Bytes message) { read_entry(type, message, entries); });
  if (!read) entries.clear();
  return entries;
}

bool read_carrier(netlink::Socket& socket, unsigned interface) {
  std::vector<LinkEntry> entries;
  ifinfomsg about{};
  about.ifi_index = static_cast<int>(interface);
  const auto read = socket.get(RTM_GETLINK, netlink::Payload(about),
                               [&](std::uint16_t type, Bytes message) { read_entry(type, message, entries); });
  return read && !entries.empty() && entries.front().has_carrier;
}

std::set<unsigned> interfaces_over(const std::vector<LinkEntry>& links, unsigned interface) {
  std::set<unsigned> over{interface};
  for (bool more = true; more;) {
    more = false;
    for (const LinkEntry& link : links) {
      if (over.contains(link.index) && link.master != 0) more = over.insert(link.master).second || more;
      if (link.lower != 0 && over.contains(link.lower)) more = over.insert(link.index).second || more;
    }
  }
  return over;
}

std::string attached_program(unsigned interface) {
  const auto links = read_links();
  const auto link = std::ranges::find(links, interface, &LinkEntry::index);
  if (link == links.end() || link->program == 0) return {};
  const ProgramInfo about = info_of(program_by_id(link->program));
  return fmt::format("{} (id {})", about.name.empty() ? "without a name" : about.name, link->program);
}

}  // namespace pollux::xdp
