// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "observe/json.hpp"
#include "pollux/net/settings.hpp"

namespace pollux::observe {

/// The answer to `port.config`. A queue whose pool the port has made has the pool null.
[[nodiscard]] Json settings_json(Settings settings);

}  // namespace pollux::observe
