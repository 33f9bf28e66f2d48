// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>

#include "pollux/net/checksum_offload.hpp"

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

/// The number of segments of a frame for which one of these is true.
[[nodiscard]] std::uint32_t segments_of(const Mbuf& frame) noexcept;

/// Computes the checksums that `request` names in a contiguous copy of a frame for which `checksums_fit` is true.
void complete_checksums_in(std::span<std::uint8_t> frame, const TxOffload& request) noexcept;

/// Computes the Internet checksum of all bytes from `start` on and writes it at `start` + `offset`. That field already
/// holds a partial sum, as in virtio-net (VIRTIO_NET_HDR_F_NEEDS_CSUM). All of these bytes are in the frame, and its
/// buffers are not shared.
void complete_internet_checksum(Mbuf& frame, std::uint32_t start, std::uint32_t offset) noexcept;

}  // namespace pollux
