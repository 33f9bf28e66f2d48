// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/options.hpp"

namespace pollux::examples {

struct L2fwdOptions {
  std::vector<std::string> ports;  ///< one or two URIs
  bool update_macs = true;
  std::optional<std::uint64_t> packets;
  std::uint32_t circulate = 0;  ///< frames that circulate
  tools::PortOptions port;
  tools::RunOptions run;
};

/// Parses the command line; returns a status if the program has to end at once.
[[nodiscard]] std::optional<int> read_options(int argc, char** argv, L2fwdOptions& options);

}  // namespace pollux::examples
