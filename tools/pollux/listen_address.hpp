// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <string_view>

#include "pollux/base/error.hpp"

namespace pollux::tool {

/// The address and TCP port, as in a URL, of "PORT", "IPv4:PORT" or "[IPv6]:PORT". A port alone is of 127.0.0.1. Other
/// texts may mean several addresses or options to an HTTP server, and are rejected. Error: invalid_argument.
[[nodiscard]] Result<std::string> listen_address(std::string_view text);

}  // namespace pollux::tool
