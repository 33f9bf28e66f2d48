// SPDX-License-Identifier: BSD-3-Clause
#include "function_socket.hpp"

#include <fmt/format.h>

namespace pollux::tool {

Result<FunctionSocket> parse_function_socket(std::string_view option, const std::string& text) {
  const auto equals = text.find('=');
  if (equals == 1 && text[0] >= '0' && text[0] <= '7' && text.size() > 2) {
    return FunctionSocket{static_cast<unsigned>(text[0] - '0'), text.substr(2)};
  }
  return fail(
      ErrorCode::invalid_argument, fmt::format("{} {}: this names no virtual function and socket", option, text),
      fmt::format("give the number of a function of the card, 0 to 7, and a socket: {} 0=/tmp/function", option));
}

}  // namespace pollux::tool
