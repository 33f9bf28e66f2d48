// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>

#include "pollux/net/checksum_offload.hpp"

namespace pollux {

/// Bytes of the longest headers that software takes; more do not fit a request.
inline constexpr std::uint16_t kMaxHeader = 65535;

/// Whether the checksums that a frame's request names can be computed: their headers are there. The segments' bounds
/// must have been checked.
[[nodiscard]] bool checksums_fit(const Mbuf& frame) noexcept;

/// Computes those that `request` names in a copy of a frame for which `checksums_fit` holds.
void complete_checksums_in(std::span<std::uint8_t> frame, const TxOffload& request) noexcept;

/// Writes the Internet checksum of all bytes from `start` on at `start` + `offset`, where a sum to begin with lies, as
/// virtio-net has it (VIRTIO_NET_HDR_F_NEEDS_CSUM). All of them must be in the frame, whose buffers nobody else uses.
void complete_internet_checksum(Mbuf& frame, std::uint32_t start, std::uint32_t offset) noexcept;

}  // namespace pollux
