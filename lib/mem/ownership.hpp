// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "pollux/mem/mbuf.hpp"

namespace pollux {
class ContextState;
}

/// Who has an mbuf, traced in builds with POLLUX_CHECKED: what makes a double free or a foreign mbuf a named misuse.
/// Callers ask `kChecked` first, so that a build without it pays nothing.
namespace pollux::ownership {

inline constexpr bool kChecked = POLLUX_CHECKED != 0;

/// Notes that `mbuf` goes home. False if it is there already: reported as a double free, and it must be left where it
/// is.
[[nodiscard]] bool mark_free(Mbuf& mbuf, Site site = {}) noexcept;

/// Whether `mbuf` is one of `context`'s and somebody has taken it.
[[nodiscard]] bool is_allocated(Mbuf& mbuf, const ContextState* context) noexcept;

/// Whether a queue of `context` may take `mbuf`: neither null, nor at home in its pool, nor of another Context.
/// Reported otherwise.
[[nodiscard]] bool may_send(Mbuf* mbuf, const ContextState& context) noexcept;

}  // namespace pollux::ownership
