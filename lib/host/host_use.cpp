// SPDX-License-Identifier: BSD-3-Clause
#include "host/host_use.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <set>
#include <utility>

#include "base/shell_words.hpp"
#include "pci/sysfs.hpp"

namespace pollux::host {
namespace {

constexpr std::size_t kReasonsShown = 6;

// The kernel adds fe80::/64 and ff00::/8 to every interface, and 169.254.0.0/16 with every address of that network.
bool is_automatic(const LinkRoute& route) {
  if (!route.unicast || route.table == RT_TABLE_LOCAL) return true;
  if (route.has_gateway) return false;
  return route.destination.is_link_local() || (route.destination.v6 && route.destination.is_multicast());
}

bool same_network(const IpPrefix& one, const IpPrefix& other) {
  if (one.v6 != other.v6 || one.length != other.length) return false;
  for (std::size_t bit = 0; bit < one.length; ++bit) {
    const auto mask = static_cast<std::uint8_t>(0x80U >> (bit % 8));
    if (((one.bytes[bit / 8] ^ other.bytes[bit / 8]) & mask) != 0) return false;
  }
  return true;
}

// The kernel adds and removes this route with the address, so it is not a separate use.
bool belongs_to_address(const LinkRoute& route, const NetworkNamespace& where) {
  if (route.has_gateway) return false;
  return std::any_of(where.addresses.begin(), where.addresses.end(), [&](const LinkAddress& address) {
    return address.link == route.link && same_network(address.prefix, route.destination);
  });
}

std::string route_name(const IpPrefix& destination) {
  return destination.length == 0 ? std::string("default") : destination.to_string();
}

bool same_address(const IpPrefix& one, const IpPrefix& other) { return one.v6 == other.v6 && one.bytes == other.bytes; }

/// Visits an interface and all interfaces stacked on it, in all namespaces, and collects their uses.
class Search {
 public:
  enum class Stacked {
    visited,
    counted,  ///< as a use, also if nobody uses it
  };
  Search(const NetworkState& state, Stacked stacked) : state_(state), stacked_(stacked) {}

  void visit_port(const NetworkNamespace& where, const NetworkLink& link) {
    const std::size_t first = uses_.size();
    const bool moved = &where != &state_.namespaces.front();
    if (moved)
      add(where, link, "lies", fmt::format("ip link set {} netns 1", shell_quoted(link.name)), Restored::not_at_all);
    visit(where, link);
    if (moved) lose_from(first);
  }

  std::vector<HostUse> take() { return std::move(uses_); }

 private:
  void visit(const NetworkNamespace& where, const NetworkLink& link) {
    if (!visited_.emplace(&where, link.index).second) return;
    check_connections(where, link);
    check_tap(where, link);
    check_pppoe(where, link);
    check_master(where, link);
    check_addresses(where, link);
    check_routes(where, link);
    for (const NetworkNamespace& other : state_.namespaces) {
      for (const NetworkLink& upper : other.links) {
        if (upper.lower == link.index && sits_in(upper, other, where)) visit_upper(other, upper, link);
      }
    }
  }

  void visit_upper(const NetworkNamespace& where, const NetworkLink& upper, const NetworkLink& lower) {
    const std::size_t first = uses_.size();
    if (stacked_ == Stacked::visited) {
      visit(where, upper);
      return lose_from(first);
    }
    add(where, upper, "is stacked on " + lower.name, fmt::format("ip link del {}", shell_quoted(upper.name)),
        Restored::not_at_all);
  }

  void lose_from(std::size_t first) {
    for (std::size_t i = first; i < uses_.size(); ++i) uses_[i].restored = Restored::not_at_all;
  }

  static bool sits_in(const NetworkLink& upper, const NetworkNamespace& of_upper, const NetworkNamespace& of_lower) {
    return upper.lower_namespace == 0 ? &of_upper == &of_lower : upper.lower_namespace == of_lower.id;
  }

  void add(const NetworkNamespace& where, const NetworkLink& link, std::string reason, const std::string& remedy,
           Restored restored) {
    uses_.push_back(
        {std::move(reason), link.name, where.name, remedy.empty() ? remedy : where.command_prefix + remedy, restored});
  }

  // They use link-local addresses, too.
  void check_connections(const NetworkNamespace& where, const NetworkLink& link) {
    std::ptrdiff_t connections = 0;
    for (const LinkAddress& own : where.addresses) {
      if (own.link != link.index || own.host_scope) continue;
      const auto is_own = [&](const IpPrefix& local) { return same_address(local, own.prefix); };
      if (state_.ssh_session && is_own(*state_.ssh_session)) {
        add(where, link, "carries your own ssh session", "", Restored::partly);
      }
      connections += std::count_if(where.connections.begin(), where.connections.end(), is_own);
    }
    if (connections == 0) return;
    add(where, link, fmt::format("carries {} TCP connection{}", connections, connections == 1 ? "" : "s"), "",
        Restored::partly);
  }

  // libvirt's "direct" interfaces. The addresses and routes are those of the guest.
  void check_tap(const NetworkNamespace& where, const NetworkLink& link) {
    if (link.kind != "macvtap" && link.kind != "ipvtap") return;
    add(where, link, "is used by a virtual machine", fmt::format("ip link del {}", shell_quoted(link.name)),
        Restored::not_at_all);
  }

  void check_pppoe(const NetworkNamespace& where, const NetworkLink& link) {
    if (std::find(where.pppoe.begin(), where.pppoe.end(), link.name) == where.pppoe.end()) return;
    add(where, link, "carries a PPPoE session", "poff -a", Restored::not_at_all);
  }

  void check_master(const NetworkNamespace& where, const NetworkLink& link) {
    if (link.master == 0) return;
    const auto master = std::find_if(where.links.begin(), where.links.end(),
                                     [&](const NetworkLink& candidate) { return candidate.index == link.master; });
    const bool known = master != where.links.end();
    // A VRF only selects a routing table. The addresses and routes show whether the port is used.
    if (known && master->kind == "vrf") return;
    const std::string kind = known && !master->kind.empty() ? master->kind : "interface";
    const std::string name = known ? master->name : std::to_string(link.master);
    add(where, link, fmt::format("is a member of the {} {}", kind, name),
        fmt::format("ip link set {} nomaster", shell_quoted(link.name)), Restored::partly);
  }

  void check_addresses(const NetworkNamespace& where, const NetworkLink& link) {
    for (const LinkAddress& address : where.addresses) {
      if (address.link != link.index || address.host_scope || address.prefix.is_link_local()) continue;
      const std::string text = address.prefix.to_string();
      add(where, link, "has the address " + text,
          fmt::format("ip address del {} dev {}", text, shell_quoted(link.name)), Restored::fully);
    }
  }

  void check_routes(const NetworkNamespace& where, const NetworkLink& link) {
    for (const LinkRoute& route : where.routes) {
      if (route.link != link.index || is_automatic(route) || belongs_to_address(route, where)) continue;
      const std::string name = route_name(route.destination);
      add(where, link, fmt::format("carries the route {}{}", name, route.destination.v6 ? " (IPv6)" : ""),
          fmt::format("ip {}route del {} dev {} table {}", route.destination.v6 ? "-6 " : "", name,
                      shell_quoted(link.name), route.table),
          Restored::fully);
    }
  }

  const NetworkState& state_;
  Stacked stacked_;
  std::set<std::pair<const NetworkNamespace*, std::uint32_t>> visited_;
  std::vector<HostUse> uses_;
};

std::vector<HostUse> search(const NetworkState& state, const std::vector<std::string>& device_names,
                            Search::Stacked stacked) {
  Search search(state, stacked);
  for (const NetworkNamespace& where : state.namespaces) {
    for (const NetworkLink& link : where.links) {
      if (link.parent_device.empty()) continue;
      if (std::find(device_names.begin(), device_names.end(), link.parent_device) == device_names.end()) continue;
      search.visit_port(where, link);
    }
  }
  return search.take();
}

}  // namespace

bool IpPrefix::is_link_local() const {
  return v6 ? bytes[0] == 0xfe && (bytes[1] & 0xc0U) == 0x80 && length >= 10
            : bytes[0] == 169 && bytes[1] == 254 && length >= 16;
}

bool IpPrefix::is_multicast() const {
  return v6 ? bytes[0] == 0xff && length >= 8 : (bytes[0] & 0xf0U) == 0xe0 && length >= 4;
}

std::string IpPrefix::to_string() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(v6 ? AF_INET6 : AF_INET, bytes.data(), text.data(), text.size());
  return fmt::format("{}/{}", text.data(), length);
}

std::vector<HostUse> find_host_use(const NetworkState& state, const std::vector<std::string>& device_names) {
  return search(state, device_names, Search::Stacked::visited);
}

std::vector<HostUse> find_losses(const NetworkState& state, const std::vector<std::string>& device_names) {
  auto losses = search(state, device_names, Search::Stacked::counted);
  std::erase_if(losses, [](const HostUse& use) { return use.restored == Restored::fully; });
  return losses;
}

std::vector<std::string> bus_names(const pci::SystemPaths& paths, pci::Address address) {
  std::vector<std::string> names{address.to_string()};
  for (const std::string& child : pci::sysfs::entries(pci::sysfs::device(paths, address))) {
    if (child.starts_with("virtio")) names.push_back(child);
  }
  return names;
}

Result<void> check_unused(const pci::SystemPaths& paths, const NetworkState& state, pci::Address address) {
  const auto uses = find_host_use(state, bus_names(paths, address));
  if (uses.empty()) return {};
  std::string reasons;
  std::string remedies;
  for (std::size_t i = 0; i < std::min(uses.size(), kReasonsShown); ++i) {
    const HostUse& use = uses[i];
    reasons += fmt::format("{}{} {} in {}", i == 0 ? "" : "; ", use.interface, use.reason, use.network_namespace);
    if (!use.remedy.empty()) remedies += use.remedy + " ; ";
  }
  if (uses.size() > kReasonsShown) reasons += fmt::format("; and {} more", uses.size() - kReasonsShown);
  return fail(ErrorCode::in_use_by_host, fmt::format("{} is in use by the host: {}", address.to_string(), reasons),
              fmt::format("{}if the host does not need it, bind with --force",
                          remedies.empty() ? remedies : remedies + "or, "));
}

}  // namespace pollux::host
