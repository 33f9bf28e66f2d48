// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "pollux/net/flow/flow_rule.hpp"
#include "pollux/net/packet/parse.hpp"

namespace pollux {

/// `matches` for a frame that was parsed before: `layout` is the result of packet::parse(frame).
[[nodiscard]] bool matches_parsed(const FlowRule& rule, const Mbuf& frame, const packet::Layout& layout) noexcept;

}  // namespace pollux
