// SPDX-License-Identifier: BSD-3-Clause
#include "pktgen/options.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/command_line.hpp"
#include "common/frame.hpp"
#include "common/rates.hpp"

namespace pollux::tools {
namespace {

/// Adds an option whose text `parse` turns into a value for `take`.
template <class Parse, class Take>
cli::Option* add_parsed(cli::App& app, const char* name, Parse parse, Take take, const char* description) {
  const auto take_all = [name, parse, take](const std::vector<std::string>& texts) {
    for (const std::string& text : texts) {
      auto value = parse(text);
      if (!value) throw cli::UsageError(name, value.error().message());
      take(*std::move(value));
    }
  };
  return app.add_option_function<std::vector<std::string>>(name, take_all, description)->expected(1);
}

void add_frame_options(cli::App& app, PktgenOptions& options) {
  add_parsed(
      app, "--size", parse_frame_sizes, [&options](FrameSizes sizes) { options.sizes = std::move(sizes); },
      "Bytes per frame, with the frame check sequence of 4 bytes: 64, sizes with shares (64:7,594:4,1518:1), imix for "
      "these, or a genome of RFC 6985 (imix-aaafg); raises the MTU unless --mtu is given [64]");
  app.add_option("--flows", options.flows,
                 "Flows, which differ in the source address and port; 8 per queue if there are several queues, else 1")
      ->check(cli::range(1U, frame::kMaxFlows));
  cli::Option* const file =
      app.add_option("--template", options.template_file,
                     "Send the frames of this pcap or pcapng file in turn, instead of pktgen's own");
  const auto vary = [&options](const FieldRange& range) {
    if (std::ranges::count(options.vary, range.field, &FieldRange::field) != 0)
      throw cli::UsageError("--vary", fmt::format("{} is varied twice: give it one range", range.field->name));
    options.vary.push_back(range);
  };
  add_parsed(
      app, "--vary", parse_field_range, vary,
      "A field of the template's frames that changes with each use of the file: FIELD=FIRST-LAST or "
      "FIELD=FIRST-LAST/STEP, such as ip.src=10.0.0.1-10.0.0.254; checksums are adjusted; several times for several "
      "fields")
      ->needs(file)
      ->take_all();
  cli::Option* const replay = app.add_option("--replay", options.replay_file,
                                             "Send the frames of this pcap or pcapng file with their timing, and end");
  app.add_option("--speed", options.speed, "With --replay: how many times as fast")
      ->check(cli::range(1e-6, 1e6))
      ->needs(replay)
      ->capture_default_str();
  app.add_option("--repeat", options.repeat, "With --replay: how many times; 0 is without end")
      ->check(cli::range(std::uint64_t{0}, std::uint64_t{1'000'000'000'000}))
      ->needs(replay)
      ->capture_default_str();
  file->excludes(replay);
  for (cli::Option* const other : {app.get_option("--size"), app.get_option("--flows")}) {
    file->excludes(other);
    replay->excludes(other);
  }
  cli::Option* const rate = add_parsed(
      app, "--rate", parse_rate, [&options](const RateText& value) { options.rate = value; },
      "Send at this rate, each frame when its slot begins: frames per second (500kpps), bits per second on the wire "
      "(100Mbit) or a share of the line rate (33.3%); without it as fast as possible, or as captured");
  rate->excludes(app.get_option("--speed"));
}

void add_options(cli::App& app, PktgenOptions& options) {
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
      ->check(cli::one_of({"phy", "mac"}));
  app.add_option("--count", options.count,
                 "Frames to send; without sending, frames of any sender to receive, or a few more with several queues")
      ->check(cli::count());
  app.add_option(
         "--window", options.window,
         "With one thread that sends and receives: maximum number of frames in flight, so that a wire without flow "
         "control loses none")
      ->check(cli::range(1, 1000000));
  add_mac_option(
      app, "--dst", options.destination,
      "Destination address; by default the receiving port's, or 02:00:00:00:00:00 with one port that does not "
      "loop; with --template and --replay those of the file's frames");
  add_mac_option(app, "--src", options.source,
                 "Source address; by default the sending port's; with --template and --replay those of the file's "
                 "frames");
  app.add_flag("--check", options.check,
               "Verify each frame's content and sequence; the status is 1 if one is wrong or all are foreign");
  app.add_flag("--expect-all", options.expect_all, "With --check: a lost frame gives status 1, too");
  app.add_option("--threads", options.threads, "1: one thread sends and receives; 2: one thread for each")
      ->check(cli::range(1U, 2U))
      ->capture_default_str();
  app.add_option("--linger", options.linger,
                 "After the last frame was sent, end when none has arrived for this many seconds")
      ->check(cli::range(0.0, 60.0))
      ->capture_default_str();
}

/// Rejects what does not fit frames from a file.
void check_files(const PktgenOptions& options) {
  if (options.template_file.empty() && options.replay_file.empty()) return;
  const char* const option = options.replay_file.empty() ? "--template" : "--replay";
  if (!options.send) throw cli::UsageError(option, "needs a port that sends");
  if (options.check) {
    throw cli::UsageError("--check", fmt::format("checks frames of pktgen, not those of {}", option));
  }
  if (!options.replay_file.empty() && options.port.queues > 1)
    throw cli::UsageError("--replay", "needs one queue, since several queues do not keep the order of frames");
}

/// Rejects combinations of options that make no sense.
void check_combinations(PktgenOptions& options) {
  if (options.ports.size() == 2) {
    if (options.send || options.receive) {
      throw cli::UsageError("PORT",
                            "with two ports the first sends and the second receives, without --send or --receive");
    }
    options.send = options.receive = true;
  }
  if (options.port.loopback != LoopbackMode::none) {
    if (options.ports.size() == 2) throw cli::UsageError("--loopback", "needs one port");
    if (options.send || options.receive) {
      throw cli::UsageError("--loopback", "the port sends and receives, without --send or --receive");
    }
    options.send = options.receive = true;
  }
  if (!options.send && !options.receive) throw cli::UsageError("PORT", "give --send, --receive or both with one port");
  check_files(options);
  if (options.check && !options.receive) throw cli::UsageError("--check", "needs a port that receives");
  if (options.expect_all && !options.check) throw cli::UsageError("--expect-all", "needs --check");
  check_queue_options(options.port);
  if (options.flows && *options.flows < options.port.queues) {
    throw cli::UsageError("--flows", fmt::format("{} flows are too few for --queues {}: each needs one", *options.flows,
                                                 options.port.queues));
  }
  if (options.threads == 2 && (options.port.queues > 1 || !options.port.cores.empty()))
    throw cli::UsageError("--threads", "a second thread that sends is for one queue; with --queues use --cores");
  if (options.window && !(options.send && options.receive && options.threads == 1 && options.port.cores.empty())) {
    throw cli::UsageError("--window", "needs one thread that sends and receives");
  }
  if (options.threads == 2 && !(options.send && options.receive)) {
    throw cli::UsageError("--threads", "two threads need both sending and receiving");
  }
}

}  // namespace

std::optional<int> read_options(int argc, char** argv, PktgenOptions& options) {
  cli::App app("Sends numbered Ethernet frames or those of a file, or counts and checks those that arrive", "pktgen");
  app.footer(
      "  pktgen PORT --send --count 1000000 --size 64\n"
      "  pktgen PORT --receive --check\n"
      "  pktgen TXPORT RXPORT --check\n"
      "  pktgen PORT --loopback phy --check\n"
      "  pktgen PORT --send --size imix --flows 1000 --rate 50%\n"
      "  pktgen PORT --send --template syn.pcap --vary ip.src=10.0.0.1-10.0.255.254\n"
      "  pktgen PORT --send --replay capture.pcapng --speed 2\n"
      "A port is vfio:0000:01:00.0, the bare PCI address, or sim:0. pktgen's own frames contain IPv4 and UDP. The "
      "status is 1\n"
      "if a frame was wrong, the library reports an error or the output cannot be written, and 2 after a wrong command "
      "line. Frames\n"
      "that a card missed are reported; they change the status only with --expect-all.");
  add_options(app, options);
  add_frame_options(app, options);
  add_port_options(app, options.port);
  add_queue_options(app, options.port);
  add_run_options(app, options.run);
  app.callback([&options, &app] {
    options.mtu_given = app.count("--mtu") != 0;
    check_combinations(options);
  });
  return parse(app, argc, argv);
}

}  // namespace pollux::tools
