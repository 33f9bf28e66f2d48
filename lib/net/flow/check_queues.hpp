// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string_view>

#include "pollux/net/flow/flow_rule.hpp"

namespace pollux {

/// Checks that an action names only queues below `queues`. `owner` names the port in the error invalid_argument.
[[nodiscard]] Result<void> check_queues(const FlowAction& action, std::uint32_t queues, std::string_view owner);

}  // namespace pollux
