// SPDX-License-Identifier: BSD-3-Clause
#include "ports/tap/interface.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/if_addr.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <span>
#include <utility>

#include "base/shell_words.hpp"
#include "base/uri_options.hpp"
#include "net/virtio_net_header.hpp"
#include "netlink/socket.hpp"

namespace pollux::tap {
namespace {

ifreq request_for(std::string_view name) noexcept {
  ifreq request{};
  std::memcpy(request.ifr_name, name.data(), name.size());
  return request;
}

tl::unexpected<Error> tun_error(int error, std::string_view name, const char* tun) {
  const std::string what = fmt::format("tap:{}: cannot open {}", name, tun);
  switch (error) {
    case ENOENT:
    case ENODEV:
    case ENXIO:
      return fail_errno(ErrorCode::module_not_loaded, what, error,
                        "load the module: modprobe tun (in a container, pass the device in: --device /dev/net/tun)");
    case EACCES:
    case EPERM:
      return fail_errno(ErrorCode::permission_denied, what, error, fmt::format("as root: chmod 0666 {}", tun));
    default: return fail_errno(ErrorCode::io_error, what, error);
  }
}

tl::unexpected<Error> attach_error(int error, std::string_view name) {
  const std::string what = fmt::format("tap:{}: cannot attach to the interface", name);
  switch (error) {
    case EPERM:
    case EACCES:
      return fail_errno(ErrorCode::permission_denied, what, error,
                        fmt::format("as root, once: ip tuntap add dev {0} mode tap user {1} && ip link set {0} up",
                                    shell_quoted(name), ::geteuid()));
    case EBUSY:
      return fail_errno(ErrorCode::busy, what, error, "another process or port is attached; choose another name");
    case EEXIST: return fail_errno(ErrorCode::busy, what, error, "the kernel uses the name; choose another one");
    case EINVAL:
      return fail_errno(
          ErrorCode::invalid_argument, what, error,
          fmt::format("the interface {} exists and is not a single-queue TAP; choose another name", name));
    default: return fail_errno(ErrorCode::io_error, what, error);
  }
}

// Linux, include/uapi/linux/if_tun.h: TUN_F_USO4, TUN_F_USO6 (Linux 6.2).
constexpr unsigned kUdpSegmentation = 0x20 | 0x40;
constexpr unsigned kTcpSegmentation = TUN_F_TSO4 | TUN_F_TSO6;

bool set_offload(int frames, unsigned flags) noexcept { return ::ioctl(frames, TUNSETOFFLOAD, flags) == 0; }

// A VirtioNetHeader in front of each frame says what the kernel has left to the process.
bool enable_header(int frames) noexcept {
  int bytes = sizeof(VirtioNetHeader);
  return ::ioctl(frames, TUNSETVNETHDRSZ, &bytes) == 0;
}

// Asks whether the kernel knows UDP segmentation by enabling it towards the process, for a moment in which the
// interface has no carrier.
bool knows_udp_segmentation(int frames) noexcept { return set_offload(frames, TUN_F_CSUM | kUdpSegmentation); }

// A kernel without an offload does the work itself.
void enable_offload(int frames, KernelOffload offload, bool segments_udp) noexcept {
  const unsigned segmentation = kTcpSegmentation | (segments_udp ? kUdpSegmentation : 0U);
  if (offload == KernelOffload::segmentation_too && set_offload(frames, TUN_F_CSUM | segmentation)) return;
  static_cast<void>(set_offload(frames, TUN_F_CSUM));
}

}  // namespace

Result<Interface> Interface::open(std::string_view name, const char* tun, KernelOffload offload) {
  if (auto valid = check_interface_name(name, fmt::format("tap:{}", name)); !valid) return pass_on(std::move(valid));
  FileDescriptor frames(::open(tun, O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!frames) return tun_error(errno, name, tun);
  ifreq request = request_for(name);
  request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
  if (::ioctl(frames.get(), TUNSETIFF, &request) != 0) return attach_error(errno, name);
  if (!enable_header(frames.get())) {
    return fail_errno(ErrorCode::io_error, fmt::format("tap:{}: cannot enable the virtio-net header", name), errno);
  }
  FileDescriptor control(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!control) {
    return fail_errno(ErrorCode::io_error, fmt::format("tap:{}: cannot make a socket", name), errno);
  }
  const bool segments_udp = knows_udp_segmentation(frames.get());
  enable_offload(frames.get(), offload, segments_udp);
  return Interface(std::string(name), std::move(frames), std::move(control), segments_udp);
}

// A deleted interface has none. Its file then refuses all else, too.
std::string Interface::present_name() const {
  ifreq request{};
  return ::ioctl(frames_.get(), TUNGETIFF, &request) == 0 ? request.ifr_name : name_;
}

// By the descriptor, which finds the interface in whatever namespace it is.
Result<MacAddress> Interface::mac() const {
  ifreq request{};
  if (::ioctl(frames_.get(), SIOCGIFHWADDR, &request) != 0) {
    return fail_errno(ErrorCode::io_error, fmt::format("tap:{}: cannot read its address", name_), errno);
  }
  MacAddress mac;
  std::memcpy(mac.data(), request.ifr_hwaddr.sa_data, mac.size());
  return mac;
}

Result<void> Interface::set_mac(const MacAddress& mac) {
  ifreq request = request_for(present_name());
  request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
  std::memcpy(request.ifr_hwaddr.sa_data, mac.data(), mac.size());
  // By the descriptor, since a user who may attach to the interface may then set its address, too.
  if (::ioctl(frames_.get(), SIOCSIFHWADDR, &request) == 0) return {};
  const ErrorCode code = errno == EADDRNOTAVAIL ? ErrorCode::invalid_argument : ErrorCode::io_error;
  return fail_errno(code, fmt::format("tap:{}: cannot set the interface's address to {}", name_, to_string(mac)), errno,
                    fmt::format("as root: ip link set {} address {}", shell_quoted(name_), to_string(mac)));
}

// Linux, drivers/net/tun.c, tun_chr_poll: an interface that is down cannot be written to. Its flags could be read in
// the namespace of this process only.
bool Interface::is_up() const {
  pollfd writable{frames_.get(), POLLOUT, 0};
  return ::poll(&writable, 1, 0) == 1 && (writable.revents & POLLOUT) != 0;
}

// An interface of the same name may have taken its place since it was moved to another namespace, as to a container.
Result<ifreq> Interface::request_here() const {
  ifreq own{};
  ifreq found = request_for(present_name());
  if (::ioctl(frames_.get(), SIOCGIFHWADDR, &own) == 0 && ::ioctl(control_.get(), SIOCGIFHWADDR, &found) == 0 &&
      std::memcmp(&own.ifr_hwaddr, &found.ifr_hwaddr, sizeof(own.ifr_hwaddr)) == 0) {
    return request_for(found.ifr_name);
  }
  return fail(ErrorCode::not_supported,
              fmt::format("tap:{}: its interface is no longer in this process's network namespace", name_),
              "change it where it is, with ip link, or run the program there");
}

Result<void> Interface::bring_up() {
  if (is_up()) return {};
  auto request = request_here();
  if (!request) return pass_on(std::move(request));
  if (::ioctl(control_.get(), SIOCGIFFLAGS, &*request) == 0) {
    request->ifr_flags = static_cast<short>(request->ifr_flags | IFF_UP);
    if (::ioctl(control_.get(), SIOCSIFFLAGS, &*request) == 0) return {};
  }
  const ErrorCode code = errno == EPERM ? ErrorCode::permission_denied : ErrorCode::io_error;
  return fail_errno(code, fmt::format("tap:{}: the interface is down and cannot be brought up", name_), errno,
                    fmt::format("as root: ip link set {} up", shell_quoted(name_)));
}

Result<void> Interface::set_mtu(std::uint32_t bytes) {
  auto request = request_here();
  if (!request) return pass_on(std::move(request));
  if (::ioctl(control_.get(), SIOCGIFMTU, &*request) == 0) {
    if (request->ifr_mtu == static_cast<int>(bytes)) return {};
    request->ifr_mtu = static_cast<int>(bytes);
    if (::ioctl(control_.get(), SIOCSIFMTU, &*request) == 0) return {};
  }
  const ErrorCode code = errno == EPERM ? ErrorCode::permission_denied : ErrorCode::io_error;
  return fail_errno(code, fmt::format("tap:{}: cannot set the interface's mtu to {}", name_, bytes), errno,
                    fmt::format("as root: ip link set {} mtu {}", shell_quoted(name_), bytes));
}

void Interface::set_carrier(bool on) noexcept {
  int value = on ? 1 : 0;
  static_cast<void>(::ioctl(frames_.get(), TUNSETCARRIER, &value));
}

void Interface::close() noexcept {
  // If the interface persists, its next user may expect complete checksums.
  if (frames_) static_cast<void>(::ioctl(frames_.get(), TUNSETOFFLOAD, 0));
  frames_ = FileDescriptor();
  control_ = FileDescriptor();
}

namespace {

/// A request of rtnetlink(7) to add the address. The two attributes differ on links between two hosts only.
netlink::Payload request_for(const InterfaceAddress& address, unsigned index) {
  const ifaddrmsg fixed{.ifa_family = static_cast<std::uint8_t>(address.ipv6 ? AF_INET6 : AF_INET),
                        .ifa_prefixlen = address.prefix,
                        .ifa_flags = 0,
                        .ifa_scope = RT_SCOPE_UNIVERSE,
                        .ifa_index = index};
  netlink::Payload request(fixed);
  for (const std::uint16_t type : {IFA_LOCAL, IFA_ADDRESS}) {
    request.add(type, std::as_bytes(std::span(address.bytes)).first(address.ipv6 ? 16 : 4));
  }
  return request;
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
    return fail(ErrorCode::invalid_argument, fmt::format("tap:{}: {} is not a prefix length", name_, address.prefix),
                fmt::format("use 0 to {}", longest));
  }
  const auto here = request_here();
  if (!here) return tl::unexpected(here.error());
  const unsigned index = ::if_nametoindex(here->ifr_name);
  int error = errno;
  if (index != 0) {
    auto socket = netlink::Socket::open();
    if (!socket) return pass_on(std::move(socket));
    if (socket->change(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, request_for(address, index))) return {};
    error = socket->last_error();
  }
  if (error == EEXIST) return {};
  const ErrorCode code = error == EPERM ? ErrorCode::permission_denied : ErrorCode::io_error;
  const std::string text = text_of(address);
  const std::string what = fmt::format("tap:{}: cannot add the address {}", name_, text);
  if (address.ipv6 && error == EACCES) {
    // Linux, net/ipv6/addrconf.c: IPv6 is disabled on the interface.
    return fail_errno(ErrorCode::not_supported, what, error,
                      fmt::format("as root: sysctl -w net.ipv6.conf.{}.disable_ipv6=0", shell_quoted(name_)));
  }
  return fail_errno(code, what, error, fmt::format("as root: ip addr add {} dev {}", text, shell_quoted(name_)));
}

}  // namespace pollux::tap
