// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "telemetry_client.hpp"

namespace pollux::tool::top {

/// The burst histogram of docs/telemetry.md: bucket n holds sizes from 2^(n-1) to 2^n - 1. Empty polls are not in it.
using Buckets = std::vector<std::uint64_t>;

/// What a program measured of a queue's bursts since a client began to watch.
struct MeterSample {
  std::uint64_t bursts = 0;                       ///< with frames
  std::optional<std::uint64_t> empty_polls = {};  ///< of receive queues
  std::uint64_t frames = 0;
  std::uint64_t busy_cycles = 0;
  std::uint64_t busy_frames = 0;
  Buckets burst_sizes = {};
};

struct QueueSample {
  std::uint64_t packets = 0;
  std::uint64_t drops = 0;
  std::optional<std::uint64_t> bytes = {};  ///< only with Settings::count_bytes
  std::optional<MeterSample> meter = {};    ///< only while the program measures it
};

/// What a program says about one of its ports at one moment. All counts only grow while the port is open.
struct PortSample {
  RunningPort port = {};
  bool answers = true;       ///< else nothing below is known
  std::string failure = {};  ///< why it does not; empty: it does not answer in time
  double seconds = 0;        ///< when, by the program's clock
  bool link_up = false;
  std::uint64_t link_speed = 0;  ///< Mb/s
  std::uint64_t rx_packets = 0;
  std::uint64_t rx_bytes = 0;
  std::uint64_t tx_packets = 0;
  std::uint64_t tx_bytes = 0;
  std::uint64_t missed = 0;  ///< by the card: it had no room
  std::map<std::string, std::uint64_t> drops = {};
  std::map<std::string, std::uint64_t> program_drops = {};  ///< under names that no port of the program has
  std::vector<QueueSample> rx = {};
  std::vector<QueueSample> tx = {};
  double pool_used = -1;  ///< share of the fullest pool that feeds the port; negative: not known
};

/// Asks all running programs. It stays connected to them, since they measure bursts only while a client watches.
class Sampler {
 public:
  /// `measures`: lets the programs measure the bursts of their queues, which costs them some cycles a burst.
  [[nodiscard]] std::vector<PortSample> sample(bool measures);

 private:
  struct Program {
    std::unique_ptr<TelemetryClient> client;
    std::vector<RunningPort> ports;  // as of its last answer
  };
  /// false: the program has ended.
  bool ask(const std::string& socket, Program& program, bool measures, std::vector<PortSample>& samples);

  std::map<std::string, Program> programs_;  // by socket
};

}  // namespace pollux::tool::top
