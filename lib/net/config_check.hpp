// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <string_view>

#include "mem/context_state.hpp"
#include "pollux/base/error.hpp"
#include "pollux/net/port_config.hpp"

/// What every port checks of a configuration in the same way, whatever it stands on.
namespace pollux {

/// invalid_argument, with the port's name in front.
[[nodiscard]] tl::unexpected<Error> refuse(std::string_view port, std::string what, std::string hint);

/// There is a queue, and not more of a kind than `limits` allow. `owner` is whose limits they are, for the hint.
[[nodiscard]] Result<void> check_queues(const PortConfig& config, const PortLimits& limits, std::string_view owner,
                                        std::string_view port);

/// The processor has the instructions of `burst_path`.
[[nodiscard]] Result<void> check_burst_path(const PortConfig& config, std::string_view port);

/// The cache, if there is one, is of the Context and, where frames are received, of the pool that they come from.
[[nodiscard]] Result<void> check_cache(const PortConfig& config, const ContextState& context, std::string_view port);

}  // namespace pollux
