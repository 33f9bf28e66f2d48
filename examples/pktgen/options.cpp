// SPDX-License-Identifier: BSD-3-Clause
#include "pktgen/options.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/command_line.hpp"
#include "common/frame.hpp"
#include "common/rates.hpp"

namespace pollux::examples {
namespace {

constexpr std::uint32_t kMinSize = frame::kMinLength + kFcsBytes;
constexpr std::uint32_t kMaxSize = frame::kMaxLength + kFcsBytes;
/// The bytes of a frame that an MTU does not count: the Ethernet header and the frame check sequence.
constexpr std::uint32_t kOverhead = 18;

void add_options(CLI::App& app, PktgenOptions& options) {
  app.add_option("PORT", options.ports, "One port, or the one that sends and the one that receives")
      ->required()
      ->expected(1, 2);
  app.add_flag("--send", options.send, "Send on the one port");
  app.add_flag("--receive", options.receive, "Receive on the one port");
  app.add_option_function<std::string>(
         "--loopback",
         [&options](const std::string& mode) {
           options.port.loopback = mode == "phy" ? LoopbackMode::phy : LoopbackMode::mac;
         },
         "The one port sends to itself: in its PHY, which needs no cable, or in its MAC, which needs a link; for "
         "tests of a card")
      ->check(CLI::IsMember({"phy", "mac"}));
  app.add_option("--size", options.size,
                 "Bytes per frame, including the frame check sequence of 4 bytes; raises the MTU unless --mtu is given")
      ->check(CLI::Range(kMinSize, kMaxSize))
      ->capture_default_str();
  app.add_option("--count", options.count,
                 "Frames to send; without sending, frames of any sender to receive, or a few more with several queues")
      ->check(frame_count());
  app.add_option("--rate", options.rate, "Frames to send per second; 0 is as fast as possible")
      ->check(number(0, 1e9))
      ->capture_default_str();
  app.add_option(
         "--window", options.window,
         "With one thread that sends and receives: maximum number of frames in flight, so that a wire without flow "
         "control loses none")
      ->check(CLI::Range(1, 1000000));
  add_mac_option(
      app, "--dst", options.destination,
      "Destination address; by default the receiving port's, or 02:00:00:00:00:00 with one port that does not "
      "loop");
  add_mac_option(app, "--src", options.source, "Source address; by default the sending port's");
  app.add_flag("--check", options.check,
               "Verify each frame's content and sequence; the status is 1 if one is wrong or all are foreign");
  app.add_flag("--expect-all", options.expect_all, "With --check: a lost frame gives status 1, too");
  app.add_option("--threads", options.threads, "1: one thread sends and receives; 2: one thread for each")
      ->check(CLI::Range(1U, 2U))
      ->capture_default_str();
  app.add_option("--linger", options.linger,
                 "After the last frame was sent, end when none has arrived for this many seconds")
      ->check(number(0, 60))
      ->capture_default_str();
}

/// Rejects combinations of options that make no sense.
void check_combinations(PktgenOptions& options, bool mtu_given) {
  if (mtu_given && options.size > options.port.mtu + kOverhead) {
    throw CLI::ValidationError("--size", fmt::format("{} needs an MTU of {}, but --mtu is {}", options.size,
                                                     options.size - kOverhead, options.port.mtu));
  }
  if (options.ports.size() == 2) {
    if (options.send || options.receive) {
      throw CLI::ValidationError("PORT",
                                 "with two ports the first sends and the second receives, without --send or --receive");
    }
    options.send = options.receive = true;
  }
  if (options.port.loopback != LoopbackMode::none) {
    if (options.ports.size() == 2) throw CLI::ValidationError("--loopback", "needs one port");
    if (options.send || options.receive) {
      throw CLI::ValidationError("--loopback", "the port sends and receives, without --send or --receive");
    }
    options.send = options.receive = true;
  }
  if (!options.send && !options.receive)
    throw CLI::ValidationError("PORT", "give --send, --receive or both with one port");
  if (options.check && !options.receive) throw CLI::ValidationError("--check", "needs a port that receives");
  if (options.expect_all && !options.check) throw CLI::ValidationError("--expect-all", "needs --check");
  check_queue_options(options.port);
  if (options.threads == 2 && (options.port.queues > 1 || !options.port.cores.empty()))
    throw CLI::ValidationError("--threads", "a second thread that sends is for one queue; with --queues use --cores");
  if (options.window && !(options.send && options.receive && options.threads == 1 && options.port.cores.empty())) {
    throw CLI::ValidationError("--window", "needs one thread that sends and receives");
  }
  if (options.threads == 2 && !(options.send && options.receive)) {
    throw CLI::ValidationError("--threads", "two threads need both sending and receiving");
  }
}

}  // namespace

std::optional<int> read_options(int argc, char** argv, PktgenOptions& options) {
  CLI::App app("Sends numbered Ethernet frames, or counts and checks those that arrive", "pktgen");
  app.footer(
      "  pktgen PORT --send --count 1000000 --size 64\n"
      "  pktgen PORT --receive --check\n"
      "  pktgen TXPORT RXPORT --check\n"
      "  pktgen PORT --loopback phy --check\n"
      "A port is vfio:0000:01:00.0, the bare PCI address, or sim:0. Frames contain IPv4 and UDP; with --queues each\n"
      "queue sends 8 flows, which differ in the source address. The status is 1 if a frame was wrong, the library\n"
      "reports an error or the output cannot be written, and 2 after a wrong command line. Frames that a card missed\n"
      "are reported; they change the status only with --expect-all.");
  add_options(app, options);
  add_port_options(app, options.port);
  add_queue_options(app, options.port);
  add_run_options(app, options.run);
  app.final_callback([&options, &app] { check_combinations(options, app.count("--mtu") != 0); });
  const auto status = parse(app, argc, argv);
  options.port.mtu = std::max(options.port.mtu, options.size - kOverhead);
  return status;
}

}  // namespace pollux::examples
