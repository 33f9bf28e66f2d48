// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "pollux/base/api.hpp"
#include "pollux/net/packet/ethernet.hpp"

namespace pollux::packet {

/// The sum of an Internet checksum (RFC 1071), over bytes that may come in several pieces of any length.
class POLLUX_API InternetSum {
 public:
  /// Adds bytes that follow those added so far. Any number of bytes up to 4 GiB in all.
  void add(std::span<const std::uint8_t> bytes) noexcept;
  /// Adds a number in host byte order as two 16-bit ones.
  void add(std::uint32_t number) noexcept { sum_ += (number >> 16) + (number & 0xFFFF); }
  /// The sum as 16 bits in host byte order, not inverted.
  [[nodiscard]] std::uint16_t folded() const noexcept;
  /// What a header's checksum field gets, in host byte order: the sum inverted.
  [[nodiscard]] std::uint16_t checksum() const noexcept { return static_cast<std::uint16_t>(~folded()); }
  /// Whether bytes that include their checksum add up.
  [[nodiscard]] bool is_good() const noexcept { return folded() == 0xFFFF; }

 private:
  std::uint64_t sum_ = 0;  // in host byte order
  bool odd_ = false;       // an odd number of bytes so far
};

/// The Internet checksum of `bytes`, in host byte order; its own field must be zero.
[[nodiscard]] POLLUX_API std::uint16_t internet_checksum(std::span<const std::uint8_t> bytes) noexcept;

/// What TCP, UDP and ICMPv6 add to the sum of their own bytes: RFC 9293, 3.1, RFC 768 and RFC 8200, 8.1. `length`:
/// bytes of header and payload.
[[nodiscard]] POLLUX_API InternetSum pseudo_header(const Ipv4Address& source, const Ipv4Address& destination,
                                                   std::uint8_t protocol, std::uint32_t length) noexcept;
[[nodiscard]] POLLUX_API InternetSum pseudo_header(const Ipv6Address& source, const Ipv6Address& destination,
                                                   std::uint8_t protocol, std::uint32_t length) noexcept;

/// UDP's field for a computed checksum: 0, which there means "none", goes as all ones (RFC 768).
[[nodiscard]] constexpr std::uint16_t udp_checksum(std::uint16_t computed) noexcept {
  return computed == 0 ? 0xFFFF : computed;
}

/// A checksum after one 16-bit field that it covers changed, without a look at the rest: RFC 1624, equation 3. All in
/// host byte order. Wrong for UDP's 0, which is no checksum; and what it makes of UDP's goes through `udp_checksum`.
[[nodiscard]] constexpr std::uint16_t updated_checksum(std::uint16_t checksum, std::uint16_t before,
                                                       std::uint16_t after) noexcept {
  std::uint32_t sum =
      std::uint32_t{static_cast<std::uint16_t>(~checksum)} + static_cast<std::uint16_t>(~before) + after;
  sum = (sum & 0xFFFF) + (sum >> 16);
  sum = (sum & 0xFFFF) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}
/// The same for a 32-bit field, such as an IPv4 address read with load32.
[[nodiscard]] constexpr std::uint16_t updated_checksum32(std::uint16_t checksum, std::uint32_t before,
                                                         std::uint32_t after) noexcept {
  checksum =
      updated_checksum(checksum, static_cast<std::uint16_t>(before >> 16), static_cast<std::uint16_t>(after >> 16));
  return updated_checksum(checksum, static_cast<std::uint16_t>(before), static_cast<std::uint16_t>(after));
}

/// The CRC of SCTP (RFC 9260, appendix A; polynomial 0x1EDC6F41), over bytes that may come in several pieces.
class POLLUX_API Crc32c {
 public:
  void add(std::span<const std::uint8_t> bytes) noexcept;
  [[nodiscard]] std::uint32_t value() const noexcept { return ~crc_; }
  /// As it lies in SCTP's header: the least significant byte first.
  [[nodiscard]] std::array<std::uint8_t, 4> bytes() const noexcept;

 private:
  std::uint32_t crc_ = ~std::uint32_t{0};
};

}  // namespace pollux::packet
