// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "pollux/mem/mbuf.hpp"

namespace pollux::queueing {

/// A hash of a frame's flow: addresses and, unless it is a fragment, protocol and ports. Frames without IP are one flow
/// for each pair of MAC addresses. `seed` is secret, so that nobody can construct flows with the same hash at will.
[[nodiscard]] std::uint32_t flow_hash(const Mbuf& frame, std::uint64_t seed) noexcept;

}  // namespace pollux::queueing
