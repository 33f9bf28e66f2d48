// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>
#include <string>

#include "pollux/net/link.hpp"

namespace pollux::tools {

/// An address like "02:00:00:00:00:01".
[[nodiscard]] std::optional<MacAddress> parse_mac(const std::string& text);

}  // namespace pollux::tools
