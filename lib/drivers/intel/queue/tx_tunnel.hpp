// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "drivers/intel/queue/tx_contexts.hpp"
#include "pollux/mem/mbuf.hpp"

namespace pollux::drivers::intel {

/// The part of a request for the segmentation of TCP in a tunnel that the card's description of headers cannot tell.
struct TunnelSegments {
  std::uint32_t headers = 0;  ///< bytes in front of the TCP payload
  std::uint32_t payload = 0;  ///< bytes
  bool outer_ipv4 = false;    ///< otherwise the outer IP header is IPv6
};

/// Whether the frame is a TCP packet in a tunnel as the request says, whose headers lie in the first mbuf and whose
/// segments have at most `max_frame` bytes. Changes nothing.
[[nodiscard]] bool is_tunnel_packet(const Mbuf& frame, const TxOffload& request, std::uint32_t max_frame,
                                    TunnelSegments& segments) noexcept;

/// Prepares the headers of such a frame. The first mbuf's bytes must not be shared. What all segments have in common is
/// written: the lengths and checksums behind the outer IP header. The card changes only the outer IP header and the TCP
/// header.
void prepare_tunnel_headers(Mbuf& frame, const TxOffload& request, const TunnelSegments& segments) noexcept;

}  // namespace pollux::drivers::intel
