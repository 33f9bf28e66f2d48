// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "net/wire_frame.hpp"
#include "pollux/net/flow/flow_rule.hpp"

namespace pollux {

/// `matches` for a frame that was parsed before: `layout` is the result of `frame.parse()`.
[[nodiscard]] bool matches_parsed(const FlowRule& rule, const WireFrame& frame, const packet::Layout& layout) noexcept;

}  // namespace pollux
