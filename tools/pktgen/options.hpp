// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/options.hpp"
#include "common/rate_text.hpp"
#include "pktgen/field_range.hpp"
#include "pktgen/frame_sizes.hpp"
#include "pollux/net/link.hpp"

namespace pollux::tools {

/// The bytes of a frame that an MTU does not count: the Ethernet header and the frame check sequence.
inline constexpr std::uint32_t kMtuOverhead = 18;

struct PktgenOptions {
  std::vector<std::string> ports;  ///< one URI, or the sending and the receiving one
  bool send = false;
  bool receive = false;
  bool check = false;
  bool expect_all = false;
  FrameSizes sizes;
  std::optional<std::uint32_t> flows;  ///< of all queues together
  std::string template_file;           ///< a capture file whose frames are sent in turn
  std::vector<FieldRange> vary;        ///< fields of these frames
  std::string replay_file;             ///< a capture file whose frames are sent as they were captured
  double speed = 1;                    ///< of the replay: how many times as fast
  std::uint64_t repeat = 1;            ///< of the replay; 0 is without end
  std::optional<std::uint64_t> count;
  std::optional<std::uint64_t> window;  ///< maximum number of frames in flight
  std::optional<RateText> rate;         ///< without one as fast as possible, or as captured
  std::optional<MacAddress> destination;
  std::optional<MacAddress> source;
  unsigned threads = 1;
  double linger = 0.5;  ///< seconds of silence after the last frame was sent
  bool mtu_given = false;
  PortOptions port;
  RunOptions run;
};

/// Parses the command line; returns a status if the program has to end at once.
[[nodiscard]] std::optional<int> read_options(int argc, char** argv, PktgenOptions& options);

}  // namespace pollux::tools
