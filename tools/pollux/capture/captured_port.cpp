// SPDX-License-Identifier: BSD-3-Clause
#include "capture/captured_port.hpp"

#include <charconv>
#include <system_error>
#include <utility>

namespace pollux::tool {

// A URI may have a slash, too, so a queue is looked for only if the whole names no port.
Result<CapturedPort> select_captured_port(const RunningPorts& running, const std::string& text) {
  auto whole = select_port(running, text);
  if (whole) return CapturedPort{*std::move(whole), std::nullopt};
  const std::size_t slash = text.rfind('/');
  if (slash == std::string::npos) return pass_on(std::move(whole));
  std::uint16_t queue = 0;
  const char* const end = text.data() + text.size();
  const auto [last, bad] = std::from_chars(text.data() + slash + 1, end, queue);
  if (bad != std::errc() || last != end) return pass_on(std::move(whole));
  auto port = select_port(running, text.substr(0, slash));
  if (!port) return pass_on(std::move(port));
  return CapturedPort{*std::move(port), queue};
}

Result<RunningCapture> start_capture(const CapturedPort& from, const CaptureRequest& request) {
  auto client = TelemetryClient::connect(from.port.socket);
  if (!client) return pass_on(std::move(client));
  TelemetryJson params{{"port", from.port.name},
                       {"filter", request.filter},
                       {"snaplen", request.snaplen},
                       {"receive", request.receive},
                       {"transmit", request.transmit}};
  if (from.queue) params["queue"] = *from.queue;
  if (request.drops) params["drops"] = *request.drops;
  if (auto started = client->call("capture.start", std::move(params)); !started) return pass_on(std::move(started));
  RunningCapture capture;
  capture.socket = client->release(capture.first);
  return capture;
}

}  // namespace pollux::tool
