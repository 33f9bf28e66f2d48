// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "pollux/mem/offload.hpp"

namespace pollux::test {

using ShapeBytes = std::vector<std::uint8_t>;

/// The Ethernet and IP headers of a packet, with what may lie between and behind them.
struct HeaderShape {
  std::string name;
  ShapeBytes bytes;
  std::uint16_t l2 = 0;
  std::uint16_t l3 = 0;
  std::uint8_t last_next = 0;    ///< where the transport's number is, counted from the IP header
  ShapeBytes addresses;          ///< those of the pseudo-header
  bool has_checksum = true;      ///< the library can compute one; else it refuses the request
  bool can_be_segmented = true;  ///< the same for segments

  [[nodiscard]] bool is_ipv4() const { return bytes[l2] >> 4 == 4; }
};

/// Stacks of tags and shims with a few IP headers, and all IP headers with a few tags.
[[nodiscard]] std::vector<HeaderShape> header_shapes();

enum class ShapeTransport : std::uint8_t { tcp, udp, sctp };
inline constexpr ShapeTransport kShapeTransports[] = {ShapeTransport::tcp, ShapeTransport::udp, ShapeTransport::sctp};

/// A packet with these headers and right lengths and checksums, made without the library.
struct ShapePacket {
  ShapeTransport transport = ShapeTransport::tcp;
  std::uint16_t identification = 7;
  std::uint32_t sequence = 1000;
  std::uint8_t tcp_flags = 0x10;
  std::size_t surplus = 0;  ///< bytes behind the datagram

  [[nodiscard]] std::uint16_t l4() const;
  [[nodiscard]] std::uint32_t checksum_flag() const;
  [[nodiscard]] std::size_t checksum_at() const;  ///< in the transport header
  [[nodiscard]] ShapeBytes bytes(const HeaderShape& shape, std::span<const std::uint8_t> payload) const;
  /// The segments of the packet.
  [[nodiscard]] std::vector<ShapeBytes> segments(const HeaderShape& shape, std::span<const std::uint8_t> payload,
                                                 std::size_t segment_size) const;
  /// The packet with wrong bytes in the checksum fields of the request.
  [[nodiscard]] ShapeBytes unsummed(const HeaderShape& shape, std::span<const std::uint8_t> payload,
                                    const TxOffload& request) const;
};

/// The frame with a tag behind the MAC addresses.
[[nodiscard]] ShapeBytes with_tag(ShapeBytes frame, std::uint16_t type, std::uint16_t tag);

}  // namespace pollux::test
