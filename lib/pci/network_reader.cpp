// SPDX-License-Identifier: BSD-3-Clause
#include "pci/network_reader.hpp"

#include <linux/ethtool.h>
#include <linux/net_namespace.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace pollux::pci {
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

void add_link(NetworkNamespace& into, Bytes message, const NamespaceResolver& resolve) {
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
      case IFLA_LINK_NETNSID: link.lower_namespace = resolve(netlink::read<std::int32_t>(payload).value_or(-1)); break;
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
  while (const auto hop = netlink::read<rtnexthop>(bytes)) {
    if (hop->rtnh_len < sizeof *hop || hop->rtnh_len > bytes.size()) break;
    const Bytes attributes = bytes.first(hop->rtnh_len).subspan(sizeof *hop);
    const bool gateway = !netlink::find_attribute(attributes, RTA_GATEWAY).empty() ||
                         !netlink::find_attribute(attributes, RTA_VIA).empty();
    hops.emplace_back(static_cast<std::uint32_t>(hop->rtnh_ifindex), gateway);
    bytes = netlink::after_header(bytes, hop->rtnh_len);
  }
  return hops;
}

void add_route(NetworkNamespace& into, Bytes message) {
  const auto header = netlink::read<rtmsg>(message);
  if (!header || (header->rtm_family != AF_INET && header->rtm_family != AF_INET6)) return;
  if ((header->rtm_flags & RTM_F_CLONED) != 0) return;
  LinkRoute route;
  route.destination.v6 = header->rtm_family == AF_INET6;
  route.destination.length = header->rtm_dst_len;
  route.unicast = header->rtm_type == RTN_UNICAST;
  route.table = header->rtm_table;
  std::vector<std::pair<std::uint32_t, bool>> hops;
  netlink::for_each_attribute(netlink::after_header(message, sizeof *header), [&](std::uint16_t type, Bytes payload) {
    switch (type) {
      case RTA_DST:
        route.destination = read_prefix(header->rtm_family, header->rtm_dst_len, payload).value_or(route.destination);
        break;
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

Result<void> dump_links(netlink::Socket& socket, NetworkNamespace& into, const NamespaceResolver& resolve) {
  netlink::Payload request(ifinfomsg{});
  request.add(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
  return socket.dump(
      RTM_GETLINK, request, [&] { into.links.clear(); },
      [&](std::uint16_t type, Bytes message) {
        if (type == RTM_NEWLINK) add_link(into, message, resolve);
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

namespace netlink {
namespace {

constexpr int kDumpAttempts = 5;
constexpr timeval kReceiveTimeout{2, 0};

constexpr std::size_t padded(std::size_t length) { return (length + 3U) & ~std::size_t{3}; }

tl::unexpected<Error> failed(const char* what, int error) {
  const ErrorCode code = error == EAGAIN ? ErrorCode::timeout : ErrorCode::io_error;
  return fail_errno(code, std::string("cannot read the host's network state: ") + what, error,
                    "check that `ip link` works here, or bind with --force if the port is known to be unused");
}

}  // namespace

std::string read_string(Bytes bytes) {
  std::string text;
  for (const std::byte byte : bytes) {
    if (byte == std::byte{0}) break;
    text.push_back(static_cast<char>(byte));
  }
  return text;
}

void for_each_attribute(Bytes bytes, const std::function<void(std::uint16_t, Bytes)>& found) {
  while (const auto header = read<nlattr>(bytes)) {
    if (header->nla_len < sizeof(nlattr) || header->nla_len > bytes.size()) return;
    const auto type = static_cast<std::uint16_t>(header->nla_type & NLA_TYPE_MASK);
    found(type, bytes.first(header->nla_len).subspan(sizeof(nlattr)));
    bytes = bytes.subspan(std::min(padded(header->nla_len), bytes.size()));
  }
}

Bytes find_attribute(Bytes bytes, std::uint16_t wanted) {
  Bytes payload;
  for_each_attribute(bytes, [&](std::uint16_t type, Bytes found) {
    if (type == wanted) payload = found;
  });
  return payload;
}

Bytes after_header(Bytes bytes, std::size_t size) { return bytes.subspan(std::min(padded(size), bytes.size())); }

Result<bool> ends_answer(std::uint16_t type, Bytes payload, bool is_dump) {
  const bool done = type == NLMSG_DONE;
  if (!done && type != NLMSG_ERROR) return false;
  const int error = -read<int>(payload).value_or(done ? 0 : -EBADMSG);
  if (error > 0) return failed("rtnetlink returned an error", error);
  return done || !is_dump;
}

Payload& Payload::add(std::uint16_t type, Bytes value) {
  const nlattr header{static_cast<std::uint16_t>(sizeof(nlattr) + value.size()), type};
  append(&header, sizeof header);
  append(value.data(), value.size());
  return *this;
}

void Payload::append(const void* data, std::size_t size) {
  const std::size_t at = bytes_.size();
  bytes_.resize(at + padded(size));
  std::memcpy(bytes_.data() + at, data, size);
}

Result<Socket> Socket::open() {
  FileDescriptor descriptor(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!descriptor) return failed("cannot open an rtnetlink socket", errno);
  if (::setsockopt(descriptor.get(), SOL_SOCKET, SO_RCVTIMEO, &kReceiveTimeout, sizeof kReceiveTimeout) != 0) {
    return failed("cannot set a timeout on the rtnetlink socket", errno);
  }
  return Socket(std::move(descriptor));
}

Result<void> Socket::dump(std::uint16_t type, const Payload& request, const std::function<void()>& restart,
                          const Handler& handler) {
  for (int attempt = 0; attempt < kDumpAttempts; ++attempt) {
    restart();
    if (auto sent = send(type, NLM_F_REQUEST | NLM_F_DUMP, request); !sent) return sent;
    auto progress = collect(true, handler);
    if (!progress) return pass_on(std::move(progress));
    if (!progress->torn) return {};
  }
  return fail(ErrorCode::busy, "the host's network configuration changes too fast to be read",
              "try again when no interfaces are being changed");
}

Result<void> Socket::get(std::uint16_t type, const Payload& request, const Handler& handler) {
  if (auto sent = send(type, NLM_F_REQUEST | NLM_F_ACK, request); !sent) return sent;
  auto progress = collect(false, handler);
  if (!progress) return pass_on(std::move(progress));
  return {};
}

Result<void> Socket::change(std::uint16_t type, std::uint16_t flags, const Payload& request) {
  const auto request_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags);
  if (auto sent = send(type, request_flags, request); !sent) return sent;
  auto progress = collect(false, [](std::uint16_t, Bytes) {});
  if (progress) return {};
  progress.error().what = "the kernel did not accept a setting of the network: " + progress.error().what;
  progress.error().hint = "see the kernel's log: dmesg | tail";
  return pass_on(std::move(progress));
}

Result<void> Socket::add(std::uint16_t type, const Payload& request) {
  last_error_ = 0;
  auto added = change(type, NLM_F_CREATE | NLM_F_APPEND, request);
  if (!added && last_error_ == EEXIST) return {};
  return added;
}

Result<void> Socket::send(std::uint16_t type, std::uint16_t flags, const Payload& request) {
  const Bytes body = request.bytes();
  nlmsghdr header{};
  header.nlmsg_len = static_cast<std::uint32_t>(sizeof header + body.size());
  header.nlmsg_type = type;
  header.nlmsg_flags = flags;
  header.nlmsg_seq = ++sequence_;
  std::vector<std::byte> message(header.nlmsg_len);
  std::memcpy(message.data(), &header, sizeof header);
  std::memcpy(message.data() + sizeof header, body.data(), body.size());
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  sockaddr address{};
  static_assert(sizeof kernel <= sizeof address);
  std::memcpy(&address, &kernel, sizeof kernel);
  if (::sendto(descriptor_.get(), message.data(), message.size(), 0, &address, sizeof kernel) < 0) {
    return failed("cannot send an rtnetlink request", errno);
  }
  return {};
}

Result<Socket::Progress> Socket::collect(bool is_dump, const Handler& handler) {
  bool torn = false;
  for (;;) {
    auto progress = receive(is_dump, handler);
    if (!progress) return progress;
    torn = torn || progress->torn;
    if (progress->done) return Progress{true, torn};
  }
}

// A datagram may contain several messages. Messages with another sequence number belong to an abandoned request; they
// are skipped.
Result<Socket::Progress> Socket::receive(bool is_dump, const Handler& handler) {
  ssize_t got = 0;
  do {
    got = ::recv(descriptor_.get(), buffer_.data(), buffer_.size(), MSG_TRUNC);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return failed("rtnetlink did not answer", errno);
  if (static_cast<std::size_t>(got) > buffer_.size()) return failed("the answer of rtnetlink is too long", EMSGSIZE);

  Progress progress;
  Bytes bytes = Bytes(buffer_).first(static_cast<std::size_t>(got));
  while (const auto header = read<nlmsghdr>(bytes)) {
    if (header->nlmsg_len < sizeof(nlmsghdr) || header->nlmsg_len > bytes.size()) break;
    const Bytes payload = bytes.first(header->nlmsg_len).subspan(sizeof(nlmsghdr));
    bytes = bytes.subspan(std::min(padded(header->nlmsg_len), bytes.size()));
    if (header->nlmsg_seq != sequence_) continue;
    progress.torn = progress.torn || (header->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
    if (header->nlmsg_type != NLMSG_ERROR && header->nlmsg_type != NLMSG_DONE) {
      handler(header->nlmsg_type, payload);
      continue;
    }
    if (header->nlmsg_type == NLMSG_ERROR) last_error_ = -read<int>(payload).value_or(0);
    const auto ended = ends_answer(header->nlmsg_type, payload, is_dump);
    if (!ended) return tl::unexpected(ended.error());
    progress.done = progress.done || *ended;
  }
  return progress;
}

}  // namespace netlink

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

Result<void> read_current_namespace(NetworkNamespace& into, const NamespaceResolver& resolve) {
  auto socket = netlink::Socket::open();
  if (!socket) return pass_on(std::move(socket));
  if (auto links = dump_links(*socket, into, resolve); !links) return links;
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

}  // namespace pollux::pci
