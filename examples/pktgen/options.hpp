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
  std::vector<std::string> ports;  ///< one URI, or the sending and the receiving one
  bool send = false;
  bool receive = false;
  bool check = false;
  bool expect_all = false;
  std::uint32_t size = 64;  ///< bytes per frame, with the frame check sequence
  std::optional<std::uint64_t> count;
  std::optional<std::uint64_t> window;  ///< maximum number of frames in flight
  double rate = 0;                      ///< frames per second; 0 is as fast as possible
  std::optional<MacAddress> destination;
  std::optional<MacAddress> source;
  unsigned threads = 1;
  double linger = 0.5;  ///< seconds of silence after the last frame was sent
  PortOptions port;
  RunOptions run;
};

/// Parses the command line; returns a status if the program has to end at once.
[[nodiscard]] std::optional<int> read_options(int argc, char** argv, PktgenOptions& options);

}  // namespace pollux::examples
