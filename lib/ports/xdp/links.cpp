// SPDX-License-Identifier: BSD-3-Clause
#include "ports/xdp/links.hpp"

#include <fmt/format.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <set>
#include <sstream>
#include <string_view>

#include "base/file_descriptor.hpp"
#include "ports/xdp/attributes.hpp"

namespace pollux::xdp {
namespace {

std::string_view text(std::string_view data) noexcept { return data.substr(0, data.find('\0')); }

std::uint32_t program_of(std::string_view attributes) {
  std::uint32_t id = 0;
  for_each_attribute(attributes, [&](int type, std::string_view data) {
    // With programs in several places there is no single one.
    const bool is_id = type == IFLA_XDP_PROG_ID || type == IFLA_XDP_DRV_PROG_ID || type == IFLA_XDP_SKB_PROG_ID ||
                       type == IFLA_XDP_HW_PROG_ID;
    if (is_id && id == 0) id = number_in<std::uint32_t>(data);
  });
  return id;
}

/// Whether an interface of that kind lies on another one; the ends of a veth pair refer to each other.
bool lies_on_another(std::string_view attributes) {
  constexpr std::array<std::string_view, 4> kKinds{"vlan", "macvlan", "macvtap", "ipvlan"};
  bool found = false;
  for_each_attribute(attributes, [&](int type, std::string_view data) {
    found = found || (type == IFLA_INFO_KIND && std::ranges::find(kKinds, text(data)) != kKinds.end());
  });
  return found;
}

LinkEntry entry_of(const ifinfomsg& about, std::string_view attributes) {
  LinkEntry entry{.index = static_cast<unsigned>(about.ifi_index), .name = {}};
  bool is_above = false;
  for_each_attribute(attributes, [&](int type, std::string_view data) {
    switch (type) {
      case IFLA_IFNAME: entry.name = text(data); break;
      case IFLA_MASTER: entry.master = number_in<std::uint32_t>(data); break;
      case IFLA_LINK: entry.lower = number_in<std::uint32_t>(data); break;
      case IFLA_LINKINFO: is_above = lies_on_another(data); break;
      case IFLA_XDP: entry.program = program_of(data); break;
      default: break;
    }
  });
  if (!is_above) entry.lower = 0;
  return entry;
}

/// False: there are no more.
bool read_messages(std::string_view bytes, std::vector<LinkEntry>& entries) {
  while (bytes.size() >= sizeof(nlmsghdr)) {
    nlmsghdr head{};
    std::memcpy(&head, bytes.data(), sizeof head);
    if (head.nlmsg_type != RTM_NEWLINK || head.nlmsg_len > bytes.size() ||
        head.nlmsg_len < NLMSG_LENGTH(sizeof(ifinfomsg))) {
      return false;
    }
    ifinfomsg about{};
    std::memcpy(&about, bytes.data() + NLMSG_HDRLEN, sizeof about);
    constexpr std::size_t kAttributes = NLMSG_SPACE(sizeof(ifinfomsg));
    entries.push_back(entry_of(about, bytes.substr(kAttributes, head.nlmsg_len - kAttributes)));
    bytes.remove_prefix(std::min<std::size_t>(NLMSG_ALIGN(head.nlmsg_len), bytes.size()));
  }
  return true;
}

/// The interfaces with a default route.
std::set<std::string> default_routes() {
  std::set<std::string> names;
  constexpr unsigned kUp = 1;  // RTF_UP of linux/route.h
  std::ifstream ipv4("/proc/thread-self/net/route");
  for (std::string line; std::getline(ipv4, line);) {
    std::istringstream words(line);
    std::string name, destination, gateway, skipped, mask;
    unsigned flags = 0;
    words >> name >> destination >> gateway >> std::hex >> flags >> skipped >> skipped >> skipped >> mask;
    if (words && (flags & kUp) != 0 && destination == "00000000" && mask == "00000000") names.insert(name);
  }
  std::ifstream ipv6("/proc/thread-self/net/ipv6_route");
  for (std::string line; std::getline(ipv6, line);) {
    std::istringstream words(line);
    std::string destination, length, source, skipped, next, flags, name;
    words >> destination >> length >> source >> skipped >> next >> skipped >> skipped >> skipped >> flags >> name;
    if (words && length == "00" && destination == std::string(32, '0') && name != "lo") names.insert(name);
  }
  return names;
}

}  // namespace

std::vector<LinkEntry> read_links() {
  std::vector<LinkEntry> entries;
  const FileDescriptor netlink(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  struct {
    nlmsghdr head{};
    ifinfomsg about{};
  } request;
  request.head.nlmsg_len = sizeof request;
  request.head.nlmsg_type = RTM_GETLINK;
  request.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  if (!netlink || ::send(netlink.get(), &request, sizeof request, 0) != sizeof request) return entries;
  std::array<char, 32768> answer;  // as large as the kernel's own buffer
  for (;;) {
    const auto bytes = ::recv(netlink.get(), answer.data(), answer.size(), 0);
    if (bytes <= 0 || !read_messages({answer.data(), static_cast<std::size_t>(bytes)}, entries)) return entries;
  }
}

std::string default_route_over(unsigned interface) {
  const auto routes = default_routes();
  if (routes.empty()) return {};
  const auto links = read_links();
  std::set<unsigned> over{interface};
  for (bool more = true; more;) {
    more = false;
    for (const LinkEntry& link : links) {
      if (over.contains(link.index) && link.master != 0) more = over.insert(link.master).second || more;
      if (over.contains(link.lower)) more = over.insert(link.index).second || more;
    }
  }
  for (const LinkEntry& link : links) {
    if (over.contains(link.index) && routes.contains(link.name)) return link.name;
  }
  return {};
}

std::string attached_program(unsigned interface) {
  const auto links = read_links();
  const auto link = std::ranges::find(links, interface, &LinkEntry::index);
  if (link == links.end() || link->program == 0) return {};
  bpf_attr attributes{};
  attributes.prog_id = link->program;
  const FileDescriptor program(
      static_cast<int>(::syscall(SYS_bpf, BPF_PROG_GET_FD_BY_ID, &attributes, sizeof attributes)));
  bpf_prog_info about{};
  attributes = {};
  attributes.info.bpf_fd = static_cast<std::uint32_t>(program.get());
  attributes.info.info_len = sizeof about;
  attributes.info.info = reinterpret_cast<std::uintptr_t>(&about);
  const bool known = program && ::syscall(SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, &attributes, sizeof attributes) == 0;
  return fmt::format("{} (id {})", known && about.name[0] != '\0' ? about.name : "without a name", link->program);
}

}  // namespace pollux::xdp
