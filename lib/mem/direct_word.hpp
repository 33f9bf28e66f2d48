// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "mem/mempool_core.hpp"

namespace pollux {

/// The lower half of MbufAccess::word (length, pool and `special`) of a direct, single-segment mbuf of the cache's pool
/// that holds `length` bytes. Subtracted from that of another mbuf, it leaves the excess length; a mismatch in pool or
/// `special` leaves more than any length. Without a cache, or if the pool has no id, no mbuf matches.
[[nodiscard]] inline std::uint32_t direct_word(const MempoolCacheCore* cache, std::uint32_t length) noexcept {
  constexpr std::uint32_t kMatchesNothing = 0xFFFF0000;
  const bool has_key = cache != nullptr && cache->direct_key <= 0xFFFF;
  return has_key ? cache->direct_key << MbufAccess::kPoolShift | length : kMatchesNothing;
}

}  // namespace pollux
