// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "pollux/base/api.hpp"
#include "pollux/net/packet/ethernet.hpp"

namespace pollux::packet {

/// Computes an Internet checksum (RFC 1071) of bytes that may come in several pieces of any length.
class POLLUX_API InternetSum {
 public:
  /// Adds the next bytes. At most 4 GiB in all.
  void add(std::span<const std::uint8_t> bytes) noexcept;
  /// Adds a number in host byte order as two 16-bit words.
  void add(std::uint32_t number) noexcept { sum_ += (number >> 16) + (number & 0xFFFF); }
  /// The sum as 16 bits in host byte order, not inverted.
  [[nodiscard]] std::uint16_t folded() const noexcept;
  /// The value of a checksum field, in host byte order: the inverted sum.
  [[nodiscard]] std::uint16_t checksum() const noexcept { return static_cast<std::uint16_t>(~folded()); }
  /// Whether bytes that include their checksum sum up correctly.
  [[nodiscard]] bool is_good() const noexcept { return folded() == 0xFFFF; }

 private:
  std::uint64_t sum_ = 0;  // in host byte order
  bool odd_ = false;       // whether the number of bytes so far is odd
};

/// The Internet checksum of `bytes`, in host byte order; the checksum field in them must be zero.
[[nodiscard]] POLLUX_API std::uint16_t internet_checksum(std::span<const std::uint8_t> bytes) noexcept;

/// The sum of the pseudo-header, which TCP, UDP and ICMPv6 checksums include: RFC 9293, 3.1, RFC 768 and RFC 8200, 8.1.
/// `length`: bytes of header and payload.
///@{
[[nodiscard]] POLLUX_API InternetSum pseudo_header(const Ipv4Address& source, const Ipv4Address& destination,
                                                   std::uint8_t protocol, std::uint32_t length) noexcept;
[[nodiscard]] POLLUX_API InternetSum pseudo_header(const Ipv6Address& source, const Ipv6Address& destination,
                                                   std::uint8_t protocol, std::uint32_t length) noexcept;
///@}

/// The UDP field for a computed checksum: 0 means "none" there, so a computed 0 is sent as all ones (RFC 768).
[[nodiscard]] constexpr std::uint16_t udp_checksum(std::uint16_t computed) noexcept {
  return computed == 0 ? 0xFFFF : computed;
}

/// Updates a checksum after a change of one 16-bit field that it covers, without reading the other bytes: RFC 1624,
/// equation 3. All in host byte order. Do not use it for a UDP checksum of 0 (none), and pass the result for UDP
/// through `udp_checksum`.
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
  /// The pieces in order; each may have any length.
  void add(std::span<const std::uint8_t> bytes) noexcept;
  /// The CRC of all bytes so far, as a number.
  [[nodiscard]] std::uint32_t value() const noexcept { return ~crc_; }
  /// As stored in the SCTP header: the least significant byte first.
  [[nodiscard]] std::array<std::uint8_t, 4> bytes() const noexcept;

 private:
  std::uint32_t crc_ = ~std::uint32_t{0};
};

}  // namespace pollux::packet
