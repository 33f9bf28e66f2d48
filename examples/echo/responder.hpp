// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>

#include "pollux/pollux.hpp"

namespace pollux::examples {

/// Answers what is sent to one IPv4 address on one port: ARP, ping (ICMP echo, RFC 792) and UDP echo (RFC 862).
/// Thread rule: one thread.
class EchoResponder {
 public:
  struct Options {
    MacAddress mac{};               ///< the port's
    packet::Ipv4Address address{};  ///< the one that answers
    std::uint8_t prefix = 32;       ///< bits of the network's prefix, of which the last host address is a broadcast
    std::uint16_t udp_port = 7;     ///< the UDP port that is answered
  };
  struct Answers {
    std::uint64_t arp = 0;
    std::uint64_t icmp = 0;
    std::uint64_t udp = 0;
  };

  explicit EchoResponder(const Options& options) : options_(options) {}

  /// Turns a request into its answer, in place. False, with nothing changed, if the frame is none: it is not for this
  /// station and address, from what is no other host, a fragment, damaged, or in several mbufs. A checksum that is
  /// still to be computed stays so, since an answer has the same sum: addresses and ports only change places.
  [[nodiscard]] bool answer(Mbuf& frame) noexcept;
  [[nodiscard]] const Answers& answers() const noexcept { return answers_; }

 private:
  [[nodiscard]] bool answer_arp(std::span<std::uint8_t> frame, std::size_t at) noexcept;
  [[nodiscard]] bool answer_icmp(std::span<std::uint8_t> message) noexcept;
  /// `ip`: for the checksum; nullptr if that is still to be computed.
  [[nodiscard]] bool answer_udp(std::span<std::uint8_t> datagram, const packet::Ipv4Header* ip) noexcept;
  /// Whether an address is one of another host.
  [[nodiscard]] bool is_peer(const packet::Ipv4Address& address) const noexcept;
  [[nodiscard]] bool answer_ip(std::span<std::uint8_t> frame, const packet::Layout& layout, bool is_partial) noexcept;
  void return_to_sender(std::span<std::uint8_t> frame) const noexcept;

  Options options_;
  Answers answers_;
};

}  // namespace pollux::examples
