// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "net/frame_bytes.hpp"
#include "pollux/mem/offload.hpp"

namespace pollux {

/// Whether every card reads the headers as the request describes them. Some cards rely on the request's lengths, others
/// parse the frame themselves. These are: at most one tag, of type 0x8100 or 0x88A8, or one of 0x88A8 before one of
/// 0x8100; no tunnel; an IP packet, no fragment, with the headers of IpHeaders::is_common; then `protocol` (0: any).
/// Bytes of a frame in which they are incomplete are not read.
[[nodiscard]] bool has_common_headers(const FrameBytes& frame, const TxOffload& request,
                                      std::uint8_t protocol) noexcept;

/// The same for TCP in a tunnel that a card can segment: UDP, GRE without checksum and sequence number, or IP in IP,
/// over and around IPv4 or IPv6 without extension headers.
[[nodiscard]] bool has_common_tunnel(const FrameBytes& frame, const TxOffload& request) noexcept;

/// Whether a packet with such headers ends with the frame, and its UDP datagram with both. Cards differ in what they
/// make of more bytes.
[[nodiscard]] bool fills_frame(const FrameBytes& frame, const TxOffload& request, std::uint8_t protocol) noexcept;

}  // namespace pollux
