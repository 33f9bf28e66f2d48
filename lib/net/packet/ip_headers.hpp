// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "net/frame_bytes.hpp"
#include "pollux/net/packet/parse.hpp"

namespace pollux::packet {

/// What an IP header with its options or extension headers says about the checksum of the transport behind it.
struct IpHeaders {
  PseudoHeaderPlaces addresses;
  std::uint8_t protocol = 0;  ///< of what follows
  bool is_fragment = false;   ///< a part of a packet, so the frame lacks bytes that the checksum covers
  /// Whether the addresses are those of the fixed header, and nothing follows it but IPv4 options or the extension
  /// headers hop-by-hop, routing and destination options. A card that parses the frame itself knows no others.
  bool is_common = true;

  [[nodiscard]] bool is_ipv4() const noexcept { return addresses.bytes == 4; }
};

/// Reads the headers that begin at `at` and have `length` bytes. Empty if they have another length, or are not
/// understood: a malformed option, an extension header other than the three above or that of a fragment, or a routing
/// header with segments left that is neither of type 0, 2 nor 4. Never reads beyond the frame.
[[nodiscard]] std::optional<IpHeaders> read_ip_headers(const FrameBytes& frame, std::size_t at,
                                                       std::size_t length) noexcept;
/// The same for exactly these bytes. `addresses` count from their start.
[[nodiscard]] std::optional<IpHeaders> read_ip_headers(std::span<const std::uint8_t> headers) noexcept;

/// The end of the bytes that a checksum covers. `end` is that of the IP packet, and not before `l4`. A UDP datagram
/// ends as its own length says: what follows in the IP packet is not part of it (RFC 768; RFC 9868, 5). Empty if that
/// length is impossible.
[[nodiscard]] std::optional<std::size_t> covered_end(const FrameBytes& frame, std::size_t l4, std::size_t end,
                                                     std::uint8_t protocol) noexcept;

}  // namespace pollux::packet
