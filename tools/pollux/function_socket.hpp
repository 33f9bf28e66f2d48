// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <string_view>

#include "pollux/base/error.hpp"

namespace pollux::tool {

/// A virtual function of an in-process card, and the socket by which it is exported.
struct FunctionSocket {
  unsigned number = 0;
  std::string path;
};

/// Parses "NUMBER=SOCKET", the value of `option`. Error invalid_argument.
[[nodiscard]] Result<FunctionSocket> parse_function_socket(std::string_view option, const std::string& text);

}  // namespace pollux::tool
