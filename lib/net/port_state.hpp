// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <initializer_list>
#include <string_view>

#include "pollux/base/error.hpp"
#include "pollux/net/port_config.hpp"

namespace pollux {

[[nodiscard]] std::string_view state_name(PortState state) noexcept;

/// Checks that `call` is allowed in the state of the port called `port`; otherwise bad_state, with a hint that leads
/// out of that state. `failure` is the reason if the port has failed.
[[nodiscard]] Result<void> expect_state(PortState state, std::initializer_list<PortState> allowed,
                                        std::string_view port, std::string_view call, const Error& failure);

}  // namespace pollux
