// SPDX-License-Identifier: BSD-3-Clause
#include "ports/xdp/links.hpp"

#include <fmt/format.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "base/file_descriptor.hpp"
#include "ports/xdp/bpf_calls.hpp"
#include "ports/xdp/netlink.hpp"

namespace pollux::xdp {
namespace {

std::string_view text(std::string_view data) noexcept { return data.substr(0, data.find('\0')); }

void read_program(std::string_view attributes, LinkEntry& entry) {
  for_each_attribute(attributes, [&](int type, std::string_view data) {
    // With programs in several places there is no single one.
    const bool is_id = type == IFLA_XDP_PROG_ID || type == IFLA_XDP_DRV_PROG_ID || type == IFLA_XDP_SKB_PROG_ID ||
                       type == IFLA_XDP_HW_PROG_ID;
    if (is_id && entry.program == 0) entry.program = number_in<std::uint32_t>(data);
  });
}

/// Whether an interface of that kind is an end of a pair: it refers to the other end, on which it does not lie.
bool is_of_a_pair(std::string_view attributes) {
  constexpr std::array<std::string_view, 2> kKinds{"veth", "netkit"};
  bool found = false;
  for_each_attribute(attributes, [&](int type, std::string_view data) {
    found = found || (type == IFLA_INFO_KIND && std::ranges::find(kKinds, text(data)) != kKinds.end());
  });
  return found;
}

LinkEntry entry_of(const ifinfomsg& about, std::string_view attributes) {
  LinkEntry entry{.index = static_cast<unsigned>(about.ifi_index), .name = {}};
  bool is_elsewhere = false;  // what it refers to is in another network namespace
  bool is_pair = false;
  for_each_attribute(attributes, [&](int type, std::string_view data) {
    switch (type) {
      case IFLA_IFNAME: entry.name = text(data); break;
      case IFLA_CARRIER: entry.has_carrier = number_in<std::uint8_t>(data) != 0; break;
      case IFLA_MASTER: entry.master = number_in<std::uint32_t>(data); break;
      case IFLA_LINK: entry.lower = number_in<std::uint32_t>(data); break;
      case IFLA_LINK_NETNSID: is_elsewhere = true; break;
      case IFLA_LINKINFO: is_pair = is_of_a_pair(data); break;
      case IFLA_XDP: read_program(data, entry); break;
      default: break;
    }
  });
  if (is_elsewhere || is_pair || entry.lower == entry.index) entry.lower = 0;
  return entry;
}

Answer read_entries(int netlink, std::vector<LinkEntry>& entries) {
  return read_answer<ifinfomsg>(netlink, RTM_NEWLINK, [&](const ifinfomsg& about, std::string_view attributes) {
    entries.push_back(entry_of(about, attributes));
  });
}

}  // namespace

std::vector<LinkEntry> read_links() {
  std::vector<LinkEntry> entries;
  const FileDescriptor netlink(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!netlink || !ask_kernel(netlink.get(), RTM_GETLINK, NLM_F_DUMP, ifinfomsg{})) return entries;
  while (read_entries(netlink.get(), entries) == Answer::goes_on) {
  }
  return entries;
}

bool read_carrier(int netlink, unsigned interface) {
  std::vector<LinkEntry> entries;
  ifinfomsg about{};
  about.ifi_index = static_cast<int>(interface);
  if (!ask_kernel(netlink, RTM_GETLINK, 0, about)) return false;
  static_cast<void>(read_entries(netlink, entries));
  return !entries.empty() && entries.front().has_carrier;
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
