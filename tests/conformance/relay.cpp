// SPDX-License-Identifier: BSD-3-Clause
#include "conformance/relay.hpp"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <system_error>
#include <vector>

namespace pollux::conformance {
namespace {

constexpr std::uint16_t kEtherType = 0x88B5;

[[noreturn]] void give_up(const std::string& what) { throw std::system_error(errno, std::generic_category(), what); }

int packet_socket(const std::string& interface) {
  const int number = ::socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(kEtherType));
  if (number < 0) give_up("packet socket");
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(kEtherType);
  address.sll_ifindex = static_cast<int>(::if_nametoindex(interface.c_str()));
  // Frames have a virtio-net header, which marks a checksum that has not been computed yet (packet(7)).
  const int on = 1;
  if (::setsockopt(number, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof on) != 0) {
    ::close(number);
    give_up("the header of a packet socket's frames");
  }
  const int room = 4 << 20;
  ::setsockopt(number, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
  if (address.sll_ifindex == 0 || ::bind(number, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    ::close(number);
    give_up("packet socket of " + interface);
  }
  return number;
}

void carry(int from, int to) {
  std::vector<std::uint8_t> frame(65600);
  for (;;) {
    sockaddr_ll source{};
    socklen_t length = sizeof source;
    const ssize_t bytes =
        ::recvfrom(from, frame.data(), frame.size(), 0, reinterpret_cast<sockaddr*>(&source), &length);
    if (bytes <= 0) return;
    // The socket also receives frames that were sent out of the interface.
    if (source.sll_pkttype != PACKET_OUTGOING)
      static_cast<void>(::send(to, frame.data(), static_cast<std::size_t>(bytes), 0));
  }
}

}  // namespace

Relay::Relay(const std::string& left_uri, const std::string& right_uri) {
  sockets_[0] = packet_socket(left_uri.substr(left_uri.find(':') + 1));
  sockets_[1] = packet_socket(right_uri.substr(right_uri.find(':') + 1));
}

Relay::~Relay() {
  for (const int number : sockets_) {
    if (number >= 0) ::close(number);
  }
}

void Relay::run() {
  carry(sockets_[0], sockets_[1]);
  carry(sockets_[1], sockets_[0]);
}

}  // namespace pollux::conformance
