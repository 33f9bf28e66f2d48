// SPDX-License-Identifier: BSD-3-Clause
// A pollux_frame of an mbuf. Bursts call this for each frame, so it copies the mbuf's fields as they lie there.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "pollux/mem/mbuf.hpp"
#include "pollux/pollux.h"

namespace pollux::c {

static_assert(sizeof(pollux_frame) == 32);
// The word of an mbuf has length, pool id, `special`, data offset and origin.
static_assert(std::endian::native == std::endian::little);
static_assert(offsetof(pollux_frame, flags) == offsetof(pollux_frame, length) + MbufAccess::kSpecialShift / 8 &&
              offsetof(pollux_frame, headroom) == offsetof(pollux_frame, length) + MbufAccess::kOffsetShift / 8 &&
              offsetof(pollux_frame, origin) == offsetof(pollux_frame, length) + MbufAccess::kOriginShift / 8);

inline void describe(pollux_frame& frame, Mbuf& mbuf) noexcept {
  const std::uint64_t word = MbufAccess::word(mbuf);
  frame.data = mbuf.data();
  frame.handle = &mbuf;
  std::memcpy(&frame.length, &word, sizeof word);
  frame.capacity = std::uint32_t{MbufAccess::whole_units(mbuf)} * 256;
}

[[nodiscard]] inline Mbuf& mbuf_of(const pollux_frame& frame) noexcept { return *static_cast<Mbuf*>(frame.handle); }

}  // namespace pollux::c
