// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "net/virtio_net_header.hpp"
#include "pollux/mem/mbuf.hpp"
#include "pollux/mem/offload.hpp"

namespace pollux {

/// Frames with the header of virtio-net in front, as TAP interfaces and virtio devices exchange them.
///
/// Makes the headers of a frame that requests segmentation what the receiver expects of a frame to segment: lengths and
/// IPv4 checksum of the whole frame, and a partial checksum that includes the length (unlike that of TxOffload).
/// `headers` are the frame's first bytes up to the payload, `frame_bytes` its length. Returns the header to put before
/// the frame (virtio 1.2, 5.1.6.2).
[[nodiscard]] VirtioNetHeader superframe_header(std::span<std::uint8_t> headers, const TxOffload& request,
                                                std::uint32_t frame_bytes) noexcept;

/// The request of a frame that its sender left unsegmented, from the header before it. `start` are bytes of the frame,
/// with its headers. Empty if header and frame do not fit each other: no TCP or UDP over IPv4 or IPv6, headers that are
/// incomplete, or no segment size.
[[nodiscard]] std::optional<TxOffload> superframe_request(const VirtioNetHeader& header,
                                                          std::span<const std::uint8_t> start) noexcept;

/// Sets the checksum request of a received frame whose header has kNeedsChecksum, and that is not left unsegmented. The
/// checksum of a protocol that TxOffload cannot express is computed at once. The field lies in the frame, and nobody
/// shares the frame's buffers.
void request_checksum(Mbuf& frame, const VirtioNetHeader& header) noexcept;

/// The length of an Ethernet header with its VLAN tags, at most two, at the front of `frame`.
[[nodiscard]] std::uint16_t ethernet_bytes(std::span<const std::uint8_t> frame) noexcept;

}  // namespace pollux
