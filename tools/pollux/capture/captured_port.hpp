// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/peer_socket.hpp"
#include "pollux/base/error.hpp"
#include "telemetry_client.hpp"

/// The capture of a port of a running program.
namespace pollux::tool {

/// A port and perhaps one of its queues.
struct CapturedPort {
  RunningPort port;
  std::optional<std::uint16_t> queue;
};

/// Finds the port that `text` names as `select_port` does, perhaps with /QUEUE. Errors: those of select_port.
[[nodiscard]] Result<CapturedPort> select_captured_port(const RunningPorts& running, const std::string& text);

struct CaptureRequest {
  std::string filter = {};
  std::uint32_t snaplen = 262144;
  bool receive = true;
  bool transmit = true;
  std::optional<bool> drops = {};  ///< empty: unless one queue is selected
};

/// A capture that runs: pcapng arrives at `socket` until it is shut down for writing, and then the end of the file.
struct RunningCapture {
  PeerSocket socket;
  std::string first;  ///< the bytes that have arrived already
};

/// Errors: those of the program (a bad filter, no such queue, a forward path), and of TelemetryClient.
[[nodiscard]] Result<RunningCapture> start_capture(const CapturedPort& from, const CaptureRequest& request);

}  // namespace pollux::tool
