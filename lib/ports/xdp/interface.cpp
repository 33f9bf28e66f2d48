// SPDX-License-Identifier: BSD-3-Clause
#include "ports/xdp/interface.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/ethtool.h>
#include <linux/filter.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include "base/uri_options.hpp"
#include "ports/xdp/links.hpp"
#include "ports/xdp/privileges.hpp"

namespace pollux::xdp {
namespace {

ifreq request_for(std::string_view name) noexcept {
  ifreq request{};
  std::memcpy(request.ifr_name, name.data(), std::min(name.size(), sizeof request.ifr_name - 1));
  return request;
}

/// Asks the driver as ethtool(8) does. False: it does not answer.
template <class Command>
bool ask_driver(int control, const std::string& name, Command& command) noexcept {
  ifreq request = request_for(name);
  request.ifr_data = &command;
  return ::ioctl(control, SIOCETHTOOL, &request) == 0;
}

std::uint16_t queues_of(int control, const std::string& name) noexcept {
  ethtool_channels channels{};
  channels.cmd = ETHTOOL_GCHANNELS;
  if (!ask_driver(control, name, channels)) return 1;
  constexpr std::uint32_t kMost = 64;
  const std::uint32_t pairs = channels.combined_count + std::max(channels.rx_count, channels.tx_count);
  return static_cast<std::uint16_t>(std::clamp(pairs, 1U, kMost));
}

}  // namespace

Result<Interface> Interface::find(std::string_view name) {
  const std::string uri = fmt::format("xdp:{}", name);
  if (auto valid = check_interface_name(name, uri); !valid) return pass_on(std::move(valid));
  FileDescriptor control(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!control) return fail_errno(ErrorCode::io_error, fmt::format("{}: cannot make a socket", uri), errno);
  ifreq request = request_for(name);
  if (::ioctl(control.get(), SIOCGIFINDEX, &request) != 0) {
    const std::size_t at = name.find('@');  // ip-link(8) shows a veth as NAME@PEER
    return fail_errno(ErrorCode::not_found, fmt::format("{}: there is no such interface", uri), errno,
                      at == std::string_view::npos
                          ? "ip link lists the interfaces of this network namespace"
                          : fmt::format("its name ends before the @: xdp:{}", name.substr(0, at)));
  }
  Interface found(std::string(name), std::move(control));
  if (auto socket = netlink::Socket::open()) found.netlink_ = std::make_unique<netlink::Socket>(*std::move(socket));
  found.facts_.id.index = static_cast<unsigned>(request.ifr_ifindex);
  found.read_network();
  if (::ioctl(found.control_.get(), SIOCGIFHWADDR, &request) != 0) {
    return fail_errno(ErrorCode::io_error, fmt::format("{}: cannot read its address", uri), errno);
  }
  if (request.ifr_hwaddr.sa_family != ARPHRD_ETHER && request.ifr_hwaddr.sa_family != ARPHRD_LOOPBACK) {
    return fail(ErrorCode::not_supported, fmt::format("{}: not an Ethernet interface", uri),
                "name an Ethernet interface");
  }
  std::memcpy(found.facts_.mac.data(), request.ifr_hwaddr.sa_data, found.facts_.mac.size());
  found.facts_.queues = queues_of(found.control_.get(), found.name_);
  found.read_driver();
  return found;
}

void Interface::read_driver() {
  ethtool_drvinfo info{};
  info.cmd = ETHTOOL_GDRVINFO;
  if (!ask_driver(control_.get(), name_, info)) return;
  info.driver[sizeof info.driver - 1] = '\0';
  facts_.driver = info.driver;
}

void Interface::read_network() {
  constexpr int kNetworkCookie = 71;  // SO_NETNS_COOKIE, include/uapi/asm-generic/socket.h; missing in older headers
  std::uint64_t& network = facts_.id.network;
  socklen_t bytes = sizeof network;
  static_cast<void>(::getsockopt(control_.get(), SOL_SOCKET, kNetworkCookie, &network, &bytes));
}

std::string Interface::present_name() const {
  ifreq request{};
  request.ifr_ifindex = static_cast<int>(index());
  return ::ioctl(control_.get(), SIOCGIFNAME, &request) == 0 ? request.ifr_name : name_;
}

Result<std::uint32_t> Interface::mtu() const {
  if (ask_) return ask_().mtu;
  ifreq request = request_for(present_name());
  if (::ioctl(control_.get(), SIOCGIFMTU, &request) == 0) return static_cast<std::uint32_t>(request.ifr_mtu);
  return fail_errno(ErrorCode::io_error, fmt::format("xdp:{}: cannot read its mtu", name_), errno);
}

std::uint32_t Interface::speed() const {
  ethtool_cmd settings{};
  settings.cmd = ETHTOOL_GSET;
  const bool known = ask_driver(control_.get(), present_name(), settings);
  const std::uint32_t speed = known ? ethtool_cmd_speed(&settings) : static_cast<std::uint32_t>(SPEED_UNKNOWN);
  return speed == static_cast<std::uint32_t>(SPEED_UNKNOWN) ? 10'000 : speed;
}

// The flag `is_running` follows the carrier up to a second later (Linux, net/core/link_watch.c). A driver may tell of a
// link before the kernel sends on it, as igb does.
bool Interface::has_carrier(const std::string& name, bool is_running) const {
  if (netlink_) return read_carrier(*netlink_, index());
  ethtool_value link{.cmd = ETHTOOL_GLINK, .data = 0};
  return is_running && (!ask_driver(control_.get(), name, link) || link.data != 0);
}

Link Interface::link() const {
  if (ask_) return ask_().link;
  const std::string name = present_name();
  ifreq request = request_for(name);
  const bool up = ::ioctl(control_.get(), SIOCGIFFLAGS, &request) == 0 && (request.ifr_flags & IFF_UP) != 0 &&
                  has_carrier(name, (request.ifr_flags & IFF_RUNNING) != 0);
  return {.up = up, .speed = up ? speed() : 0U, .autonegotiated = false};
}

bool Interface::is_up() const {
  if (ask_) return ask_().is_up;
  ifreq request = request_for(present_name());
  return ::ioctl(control_.get(), SIOCGIFFLAGS, &request) == 0 && (request.ifr_flags & IFF_UP) != 0;
}

bool Interface::exists() const {
  if (ask_) return ask_().exists;
  ifreq request{};
  request.ifr_ifindex = static_cast<int>(index());
  return ::ioctl(control_.get(), SIOCGIFNAME, &request) == 0 || errno != ENODEV;
}

InterfaceState Interface::state() const {
  if (ask_) return ask_();
  return {.exists = exists(), .is_up = is_up(), .link = link(), .mtu = mtu().value_or(0)};
}

Result<Membership> Membership::join(const Interface& interface, const MacAddress& mac, bool promiscuous,
                                    bool all_multicast) {
  Membership joined;
  if (mac == interface.mac() && !promiscuous && !all_multicast) return joined;
  joined.socket_ = FileDescriptor(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));  // protocol 0: receives nothing
  int error = joined.socket_ ? 0 : errno;
  const auto add = [&](unsigned short type) {
    packet_mreq request{};
    request.mr_ifindex = static_cast<int>(interface.index());
    request.mr_type = type;
    request.mr_alen = static_cast<unsigned short>(mac.size());
    std::copy(mac.begin(), mac.end(), request.mr_address);
    if (error == 0 &&
        ::setsockopt(joined.socket_.get(), SOL_PACKET, PACKET_ADD_MEMBERSHIP, &request, sizeof request) != 0) {
      error = errno;
    }
  };
  if (mac != interface.mac()) add(PACKET_MR_UNICAST);
  if (promiscuous) add(PACKET_MR_PROMISC);
  if (all_multicast) add(PACKET_MR_ALLMULTI);
  if (error == 0) return joined;
  const ErrorCode code = error == EPERM ? ErrorCode::permission_denied : ErrorCode::io_error;
  return fail_errno(code, fmt::format("xdp:{}: cannot set the interface's filter", interface.name()), error,
                    kPrivilegesHint);
}

Result<DeletionEvents> DeletionEvents::subscribe(const Interface& interface) {
  FileDescriptor netlink(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  // Of a message only its type and the interface's index are looked at. Loads are big-endian.
  constexpr std::uint32_t kType = offsetof(nlmsghdr, nlmsg_type);
  constexpr std::uint32_t kIndex = NLMSG_HDRLEN + offsetof(ifinfomsg, ifi_index);
  std::array<sock_filter, 6> filter{
      {BPF_STMT(BPF_LD | BPF_H | BPF_ABS, kType), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_DELLINK), 0, 3),
       BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kIndex), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(interface.index()), 0, 1),
       BPF_STMT(BPF_RET | BPF_K, ~std::uint32_t{0}), BPF_STMT(BPF_RET | BPF_K, 0)}};
  const sock_fprog program{.len = filter.size(), .filter = filter.data()};
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = RTMGRP_LINK;
  if (!netlink || ::setsockopt(netlink.get(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) != 0 ||
      ::bind(netlink.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return fail_errno(ErrorCode::io_error, fmt::format("xdp:{}: cannot subscribe to its deletion", interface.name()),
                      errno);
  }
  return DeletionEvents(std::move(netlink));
}

// ENOBUFS: events were lost, which is an event, too.
bool DeletionEvents::clear() const noexcept {
  std::array<std::byte, 64> unread;  // what happened does not matter: the interface is looked at
  bool any = false;
  while (::recv(socket_.get(), unread.data(), unread.size(), 0) >= 0 || errno == ENOBUFS) any = true;
  return any;
}

void DeletionNotifier::check() noexcept {
  if (!events_.clear() || is_deleted() || exists_()) return;
  deleted_.store(true, std::memory_order_relaxed);
  for (const auto& sleeper : sleepers_) sleeper->raise();
}

}  // namespace pollux::xdp
