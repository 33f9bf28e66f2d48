// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "pollux/base/api.hpp"
#include "pollux/mem/mbuf.hpp"

namespace pollux {

/// What came of computing a frame's checksums.
enum class ChecksumCompletion : std::uint8_t {
  complete,     ///< there is none left to compute
  bad_request,  ///< the request does not fit the frame, which is as it was
  /// A field to write lies in bytes that are not the frame's alone, those of a clone or of external memory; the frame
  /// is as it was.
  shared_data,
};

/// Leaves the checksums that `request` names to whoever sends the frame: writes the sum of the pseudo-header into the
/// field of TCP or UDP, and then sets the request. The headers must be complete; IPv4 and IPv6. Ports that cannot
/// compute a checksum themselves have software do it, so a program asks the same way for all; a frame that is never
/// sent keeps its `partial` checksum. False, with nothing changed, if `request` does not fit the frame or the field
/// lies in shared data (ChecksumCompletion). Thread rule: the frame's owner.
[[nodiscard]] POLLUX_API bool request_checksums(Mbuf& frame, const TxOffload& request) noexcept;

/// Computes in software what the frame's request leaves to be computed, writes it and takes it off the request. For
/// programs that hand a frame to somebody who does not know of requests, or make clones of one that is to be sent by
/// several ports; ports do it by themselves where they have to. A frame that asks for no checksum is complete.
/// Thread rule: the frame's owner.
[[nodiscard]] POLLUX_API ChecksumCompletion complete_checksums(Mbuf& frame) noexcept;

}  // namespace pollux
