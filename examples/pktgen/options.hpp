// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/options.hpp"
#include "pollux/net/link.hpp"

namespace pollux::examples {

struct PktgenOptions {
  std::vector<std::string> ports;  ///< one URI, or the one that sends and the one that receives
  bool send = false;
  bool receive = false;
  bool check = false;
  bool expect_all = false;
  std::uint32_t size = 64;  ///< bytes a frame, with the frame check sequence
  std::optional<std::uint64_t> count;
  std::optional<std::uint64_t> window;  ///< frames on their way at most
  double rate = 0;                      ///< frames a second; 0 is as fast as it goes
  std::optional<MacAddress> destination;
  std::optional<MacAddress> source;
  unsigned threads = 1;
  double linger = 0.5;  ///< seconds of silence after the last frame was sent
  PortOptions port;
  RunOptions run;
};

/// Reads the command line; a status to end with if there is nothing to do.
[[nodiscard]] std::optional<int> read_options(int argc, char** argv, PktgenOptions& options);

}  // namespace pollux::examples
