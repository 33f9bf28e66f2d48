// SPDX-License-Identifier: BSD-3-Clause
#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <string>
#include <vector>

#include "ports/tap/interface.hpp"

namespace pollux::tap {
namespace {

void append(std::vector<std::byte>& message, const void* data, std::size_t size) {
  const auto* const bytes = static_cast<const std::byte*>(data);
  message.insert(message.end(), bytes, bytes + size);
}

/// A request of rtnetlink(7) to add the address. The two attributes differ on links between two hosts only.
std::vector<std::byte> request_for(const InterfaceAddress& address, unsigned index) {
  const std::size_t bytes = address.ipv6 ? 16 : 4;
  const std::size_t attribute = RTA_LENGTH(bytes);
  const nlmsghdr header{.nlmsg_len = static_cast<std::uint32_t>(NLMSG_LENGTH(sizeof(ifaddrmsg)) + 2 * attribute),
                        .nlmsg_type = RTM_NEWADDR,
                        .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL,
                        .nlmsg_seq = 1,
                        .nlmsg_pid = 0};
  const ifaddrmsg fixed{.ifa_family = static_cast<std::uint8_t>(address.ipv6 ? AF_INET6 : AF_INET),
                        .ifa_prefixlen = address.prefix,
                        .ifa_flags = 0,
                        .ifa_scope = RT_SCOPE_UNIVERSE,
                        .ifa_index = index};
  std::vector<std::byte> message;
  append(message, &header, sizeof header);
  append(message, &fixed, sizeof fixed);
  for (const unsigned short type : {IFA_LOCAL, IFA_ADDRESS}) {
    const rtattr one{.rta_len = static_cast<unsigned short>(attribute), .rta_type = type};
    append(message, &one, sizeof one);
    append(message, address.bytes.data(), bytes);
  }
  return message;
}

/// Sends a request of the kernel's rtnetlink and waits for its answer. Returns 0 or errno.
int ask_kernel(const std::vector<std::byte>& message) {
  const Descriptor netlink(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (netlink.get() < 0) return errno;
  const timeval limit{.tv_sec = 2, .tv_usec = 0};
  static_cast<void>(::setsockopt(netlink.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit));
  if (::send(netlink.get(), message.data(), message.size(), 0) < 0) return errno;
  struct {
    nlmsghdr header{};
    nlmsgerr error{};
    std::array<std::byte, 512> rest{};  // the request and the kernel's remarks
  } answer;
  const auto bytes = ::recv(netlink.get(), &answer, sizeof answer, 0);
  if (bytes < 0) return errno;
  const bool is_answer =
      bytes >= static_cast<ssize_t>(NLMSG_LENGTH(sizeof(nlmsgerr))) && answer.header.nlmsg_type == NLMSG_ERROR;
  return is_answer ? -answer.error.error : EPROTO;
}

std::string text_of(const InterfaceAddress& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  static_cast<void>(::inet_ntop(address.ipv6 ? AF_INET6 : AF_INET, address.bytes.data(), text.data(), text.size()));
  return fmt::format("{}/{}", text.data(), address.prefix);
}

}  // namespace

Result<void> Interface::add_address(const InterfaceAddress& address) {
  const unsigned longest = address.ipv6 ? 128 : 32;
  if (address.prefix > longest) {
    return fail(ErrorCode::invalid_argument, fmt::format("tap:{}: {} is no prefix length", name_, address.prefix),
                fmt::format("use 0 to {}", longest));
  }
  const unsigned index = ::if_nametoindex(name_.c_str());
  const int error = index == 0 ? errno : ask_kernel(request_for(address, index));
  if (error == 0 || error == EEXIST) return {};
  const ErrorCode code = error == EPERM ? ErrorCode::permission_denied : ErrorCode::io_error;
  const std::string text = text_of(address);
  const std::string what = fmt::format("tap:{}: cannot add the address {}", name_, text);
  if (address.ipv6 && error == EACCES) {
    // Linux, net/ipv6/addrconf.c: IPv6 is disabled on the interface.
    return fail_errno(ErrorCode::not_supported, what, error,
                      fmt::format("as root: sysctl -w net.ipv6.conf.{}.disable_ipv6=0", name_));
  }
  return fail_errno(code, what, error, fmt::format("as root: ip addr add {} dev {}", text, name_));
}

}  // namespace pollux::tap
