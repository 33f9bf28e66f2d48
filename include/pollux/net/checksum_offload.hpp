// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "pollux/base/api.hpp"
#include "pollux/mem/mbuf.hpp"

namespace pollux {

/// The result of computing a frame's checksums.
enum class ChecksumCompletion : std::uint8_t {
  complete,     ///< no checksum is left to compute
  bad_request,  ///< the request does not fit the frame, which is unchanged
  /// A checksum field is in shared bytes (a clone, or external memory); the frame is unchanged.
  shared_data,
};

/// Requests the checksums that `request` names: writes the sum of the pseudo-header into the TCP or UDP checksum field,
/// and sets the request. The port that sends the frame computes the checksums, in software if the card cannot, so this
/// works on every port. A frame that is never sent keeps its `partial` checksum. Where not every card would compute the
/// same, the checksums are computed here and not requested: with other tags than one, or one of 0x88A8 before one of
/// 0x8100; on a source route, with a home address or a fragment header; and with bytes after the packet or the UDP
/// datagram. The addresses are those of `packet::pseudo_header_places`. The headers must be complete, over IPv4 or
/// IPv6. Returns false, with nothing changed, if `request` does not fit the frame or the field is in shared bytes
/// (ChecksumCompletion): also for fragments, impossible UDP lengths, and IPv6 extension headers other than hop-by-hop,
/// routing and destination options, and an atomic fragment's.
/// Thread rule: the frame's owner.
[[nodiscard]] POLLUX_API bool request_checksums(Mbuf& frame, const TxOffload& request) noexcept;

/// Computes the requested checksums in software, writes them and removes them from the request. For programs that pass
/// a frame to code that does not know requests, or that clone a frame to send it on several ports; ports call it where
/// they need it. A frame that requests no checksum is complete.
/// Thread rule: the frame's owner.
[[nodiscard]] POLLUX_API ChecksumCompletion complete_checksums(Mbuf& frame) noexcept;

}  // namespace pollux
