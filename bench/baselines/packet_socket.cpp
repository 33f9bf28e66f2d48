// SPDX-License-Identifier: BSD-3-Clause
#include "packet_socket.hpp"

#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "work.hpp"

namespace baselines {

PacketSocket::PacketSocket(const std::string& interface, std::uint16_t protocol)
    : interface_(interface), protocol_(protocol), socket_(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)) {
  if (socket_ < 0) give_up("a packet socket could not be opened", "run as root, with the module af_packet loaded");
  const int on = 1;
  set(PACKET_QDISC_BYPASS, on, "PACKET_QDISC_BYPASS");
  set(PACKET_IGNORE_OUTGOING, on, "PACKET_IGNORE_OUTGOING");
}

PacketSocket::~PacketSocket() { close(socket_); }

void PacketSocket::bind() const {
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(protocol_);
  address.sll_ifindex = static_cast<int>(if_nametoindex(interface_.c_str()));
  if (address.sll_ifindex == 0) give_up("there is no such interface", "name one that 'ip link' shows");
  if (::bind(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    give_up("a packet socket could not be bound", "see with 'ip link' whether the interface is still there");
  }
}

void PacketSocket::set(int option, const void* value, std::size_t size, const char* what) const {
  if (setsockopt(socket_, SOL_PACKET, option, value, static_cast<socklen_t>(size)) != 0) {
    give_up((std::string("the kernel refuses ") + what).c_str(), "it takes Linux 4.20, and memory for the rings");
  }
}

void PacketSocket::give_up(const char* what, const char* remedy) const {
  const std::string reason = std::strerror(errno);
  baselines::give_up((interface_ + ": " + what + ": " + reason + "; " + remedy).c_str());
}

}  // namespace baselines
