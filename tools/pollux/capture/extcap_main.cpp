// SPDX-License-Identifier: BSD-3-Clause
// pollux-extcap: shows Wireshark and tshark the ports of running programs as interfaces, through extcap
// (https://www.wireshark.org/docs/wsdg_html_chunked/ChCaptureExtcap.html).
#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <iostream>
#include <string>

#include "capture/captured_port.hpp"
#include "capture/copy_capture.hpp"
#include "common/cli.hpp"
#include "common/standard_streams.hpp"
#include "common/stop_signals.hpp"
#include "observe/capture/frame_filter.hpp"

namespace {

using namespace pollux;
using namespace pollux::tool;

struct Options {
  bool interfaces = false;
  bool dlts = false;
  bool config = false;
  bool capture = false;
  std::string version;  // Wireshark's
  std::string interface;
  std::string filter;
  std::string fifo;
};

int failed(const Error& error) {
  std::cerr << printable(error.message()) << '\n';
  return 1;
}

/// Braces end a value of extcap's format.
std::string without_braces(std::string text) {
  std::erase_if(text, [](char c) { return c == '{' || c == '}'; });
  return text;
}

/// The status of what has printed something. Wireshark would take a message that was lost for a good filter.
int printed() {
  const int error = tools::flush_output();
  return error == 0 ? 0 : failed({ErrorCode::io_error, tools::cannot_write(error), ""});
}

int list_interfaces() {
  std::cout << "extcap {version=" POLLUX_VERSION "}{display=Pollux}\n";
  const RunningPorts running = running_ports(telemetry_directories());
  for (const RunningPort& port : running.ports) {
    if (port.name.empty()) continue;
    std::cout << fmt::format("interface {{value={}}}{{display=Pollux: {} of {}, process {}}}\n", port.name,
                             without_braces(port.uri), without_braces(port.program), port.pid);
  }
  return printed();
}

int list_link_types() {
  std::cout << "dlt {number=1}{name=EN10MB}{display=Ethernet}\n";
  return printed();
}

/// Without --capture, Wireshark asks whether a filter is good: it is if nothing is printed.
int check_filter(const Options& options) {
  const auto filter = observe::FrameFilter::compile(options.filter, options.interface);
  if (!filter) std::cout << printable(filter.error().what) << '\n';
  return printed();
}

int capture(const Options& options) {
  const tools::StopSignals stop;
  // First, since Wireshark waits for the other end of the pipe, and reads an error only after that.
  const FileDescriptor fifo(::open(options.fifo.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fifo) return failed({ErrorCode::io_error, "cannot open " + options.fifo + ": " + std::strerror(errno), ""});
  const auto from = select_captured_port(running_ports(telemetry_directories()), options.interface);
  if (!from) return failed(from.error());
  auto running = start_capture(*from, {.filter = options.filter});
  if (!running) return failed(running.error());
  const auto counts = copy_capture(*std::move(running), fifo.get(), {.stop = [&stop] { return stop.raised(); }});
  return counts ? 0 : failed(counts.error());
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  pollux::cli::App app(
      "Shows Wireshark and tshark the ports of running Pollux programs; link it into Wireshark's extcap folder");
  app.add_flag("--extcap-interfaces", options.interfaces, "List the ports");
  app.add_option("--extcap-version", options.version, "Wireshark's version");
  app.add_option("--extcap-interface", options.interface, "A port");
  app.add_flag("--extcap-dlts", options.dlts, "List the link types of a port");
  app.add_flag("--extcap-config", options.config, "List the settings of a port: none");
  app.add_flag("--capture", options.capture, "Capture a port");
  app.add_option("--extcap-capture-filter", options.filter, "A filter as for tcpdump");
  app.add_option("--fifo", options.fifo, "Where the capture is written");
  app.allow_extras();  // what later versions add
  if (const auto status = app.parse(argc, argv, std::cout, std::cerr)) return *status;
  if (options.interfaces) return list_interfaces();
  if (options.dlts) return list_link_types();
  if (options.config) return 0;
  if (options.capture && !options.interface.empty() && !options.fifo.empty()) return capture(options);
  if (!options.interface.empty() && !options.filter.empty()) return check_filter(options);
  std::cerr << "Wireshark calls this program: link it into the folder that `tshark -G folders` calls the extcap path "
               "(share/doc/pollux/capture.md)\n";
  return 2;
}
