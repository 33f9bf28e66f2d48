// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <initializer_list>
#include <string_view>

#include "pollux/base/error.hpp"
#include "pollux/net/port_config.hpp"

namespace pollux {

/// Whether `call` fits the state of the port called `port`; else bad_state, with the way out of that state. `failure`
/// is why it failed, if it did.
[[nodiscard]] Result<void> expect_state(PortState state, std::initializer_list<PortState> fitting,
                                        std::string_view port, std::string_view call, const Error& failure);

}  // namespace pollux
