// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "pollux/mem/mbuf.hpp"

namespace pollux {
class ContextState;
}

/// Ownership checks for mbufs in builds with POLLUX_CHECKED, which report double frees and foreign mbufs as misuse.
/// Callers test `kChecked` first, so other builds pay nothing.
namespace pollux::ownership {

inline constexpr bool kChecked = POLLUX_CHECKED != 0;

/// Marks `mbuf` as free. Returns false and reports a double free if it is free already; the caller must then not touch
/// it.
[[nodiscard]] bool mark_free(Mbuf& mbuf, Site site = {}) noexcept;

/// Whether `mbuf` belongs to `context` and is allocated.
[[nodiscard]] bool is_allocated(Mbuf& mbuf, const ContextState* context) noexcept;

/// Whether a queue of `context` may send `mbuf`: it is not null, not free and not of another Context. Reports a misuse
/// otherwise.
[[nodiscard]] bool may_send(Mbuf* mbuf, const ContextState& context) noexcept;

}  // namespace pollux::ownership
