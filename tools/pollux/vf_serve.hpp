// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <vector>

#include "environment.hpp"

namespace pollux::tool {

struct VfServeOptions {
  std::string port;
  unsigned count = 0;
  std::vector<std::string> settings;  ///< see parse_function_settings
  std::vector<std::string> sockets;   ///< see parse_function_socket
  bool json = false;
};

/// Opens a physical function, gives its virtual functions their settings, and answers their mailboxes until Ctrl-C.
/// Prints what happens to them. Returns the exit code.
[[nodiscard]] int run_vf_serve(const Environment& environment, const VfServeOptions& options);

}  // namespace pollux::tool
