// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>

#include "net/frame_bytes.hpp"
#include "pollux/mem/offload.hpp"

namespace pollux {

/// Bytes of the longest headers that software handles; a request cannot describe longer ones.
inline constexpr std::uint16_t kMaxHeader = 65535;

/// Whether the checksums of a frame's request can be computed, that is, whether its headers are complete. The caller
/// has checked the segments' bounds.
[[nodiscard]] bool checksums_fit(const Mbuf& frame) noexcept;

/// Whether a frame can be segmented as its request says: one kind of segmentation, no tunnel, complete headers of that
/// length in its first mbuf, some payload, and a segment size. In front of the IP header are tags or MPLS labels alone:
/// other headers may have lengths of their own.
[[nodiscard]] bool segmentation_fits(const Mbuf& frame) noexcept;

/// The same for TCP in a tunnel over UDP (VXLAN, Geneve).
[[nodiscard]] bool tunnel_segmentation_fits(const Mbuf& frame) noexcept;

/// Whether the headers of such a frame go on behind its first mbuf.
[[nodiscard]] bool has_split_headers(const Mbuf& frame) noexcept;

/// Whether an IP header can say the length of a packet that requests segmentation, for which one of these is true.
[[nodiscard]] bool has_ip_length(const Mbuf& frame) noexcept;

/// The number of segments of a frame for which one of these is true.
[[nodiscard]] std::uint32_t segments_of(const Mbuf& frame) noexcept;

/// Computes the checksums that `request` names in a contiguous copy of a frame for which `checksums_fit` is true.
void complete_checksums_in(std::span<std::uint8_t> frame, const TxOffload& request) noexcept;

/// Computes the Internet checksum of all bytes from `start` on and writes it at `start` + `offset`. That field already
/// holds a partial sum, as in virtio-net (VIRTIO_NET_HDR_F_NEEDS_CSUM). All of these bytes are in the frame, and its
/// buffers are not shared.
void complete_internet_checksum(Mbuf& frame, std::uint32_t start, std::uint32_t offset) noexcept;

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
