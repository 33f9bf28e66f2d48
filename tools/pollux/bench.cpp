// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>
#include <unistd.h>
#include "common/cli.hpp"

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>

#include "bench/report.hpp"
#include "commands.hpp"
#include "common/frame.hpp"
#include "common/rate_text.hpp"
#include "common/rates.hpp"
#include "common/stop_signals.hpp"
#include "report.hpp"

namespace pollux::tool {
namespace {

constexpr std::uint32_t kMinSize = tools::frame::kMinLength + tools::kFcsBytes;
constexpr std::uint32_t kMaxSize = tools::frame::kMaxLength + tools::kFcsBytes;

struct BenchOptions {
  std::vector<std::string> ports;
  std::string device = "wire";
  std::vector<std::uint32_t> sizes;
  std::vector<std::string> tests;
  std::optional<double> duration;  // seconds
  std::optional<double> wait;
  std::string max_load = "100%";
  std::string resolution = "0.1%";
  std::optional<std::uint32_t> confirmations;
  std::optional<std::uint32_t> repeats;
  std::string line_rate;
  bool rfc = false;
  bool json = false;
};

Duration span_of(double seconds) { return Duration(std::llround(seconds * 1e9)); }

/// A share of the line rate, from a text such as "0.1%".
Result<bench::Load> load_of(const char* option, const std::string& text) {
  const auto rate = tools::parse_rate(text);
  if (rate && rate->unit == tools::RateText::Unit::share && rate->value <= bench::kFullLoad) {
    return static_cast<bench::Load>(rate->value);
  }
  return fail(ErrorCode::invalid_argument, fmt::format("{}: '{}' is not a share of the line rate", option, text),
              "use a percentage above 0 and up to 100%, such as 0.1%");
}

Result<std::optional<std::uint64_t>> line_rate_of(const std::string& text) {
  if (text.empty()) return std::nullopt;
  const auto rate = tools::parse_rate(text);
  if (rate && rate->unit == tools::RateText::Unit::bits) return rate->value;
  return fail(ErrorCode::invalid_argument, fmt::format("--line-rate: '{}' is not a bit rate", text),
              "use bits per second, such as 100Mbit or 10Gbit");
}

/// The sizes, tests, durations and counts that were asked for, and the usual ones for the others.
Result<bench::TableOptions> table_options(const BenchOptions& options, bool virtual_time) {
  bench::TableOptions table = options.rfc    ? bench::rfc_options()
                              : virtual_time ? bench::virtual_time_options()
                                             : bench::real_time_options();
  if (!options.sizes.empty()) table.sizes = options.sizes;
  const auto wanted = [&](const char* test) {
    return options.tests.empty() || std::ranges::find(options.tests, test) != options.tests.end();
  };
  table.throughput = wanted("throughput");
  table.latency = wanted("latency");
  table.frame_loss = wanted("frame-loss");
  table.back_to_back = wanted("back-to-back");
  if (options.duration) {
    table.duration = table.latency_duration = table.burst_duration = span_of(*options.duration);
  }
  if (options.wait) table.wait = span_of(*options.wait);
  if (options.repeats) table.latency_repeats = table.burst_repeats = *options.repeats;
  if (options.confirmations) table.search.confirmations = *options.confirmations;
  const auto max = load_of("--max-load", options.max_load);
  if (!max) return tl::unexpected(max.error());
  const auto resolution = load_of("--resolution", options.resolution);
  if (!resolution) return tl::unexpected(resolution.error());
  table.search.max = *max;
  table.search.resolution = *resolution;
  return table;
}

/// Without this, a missing cable would look like a device that loses each frame.
Result<void> check_path(bench::TrialRunner& runner, const BenchOptions& options, const bench::TableOptions& table) {
  constexpr std::uint64_t kFrames = 64;
  const auto trial = runner.run(
      {.size = table.sizes.front(), .load = table.search.max, .frames = kFrames, .wait = bench::rfc_options().wait});
  if (!trial) return tl::unexpected<Error>(trial.error());
  if (trial->counts.received != 0) return {};
  return fail(ErrorCode::io_error,
              fmt::format("none of {} frames that {} sent arrived at {}", trial->counts.sent, options.ports[0],
                          options.ports[1]),
              "connect the ports, through the device under test if there is one; sim:0 and sim:1 are connected, and so "
              "are sim:2 and sim:3");
}

Result<bench::Report> measure(const Environment& environment, const BenchOptions& options,
                              const bench::TestBedOptions& bed_options, const bench::TableOptions& table_options) {
  const tools::StopSignals stop;
  auto bed = bench::TestBed::open(bed_options);
  if (!bed) return pass_on(std::move(bed));
  bench::TrialRunner runner(**bed, [&stop] { return stop.raised(); });
  if (auto connected = check_path(runner, options, table_options); !connected) return pass_on(std::move(connected));
  std::function<void(const std::string&)> progress;
  if (::isatty(STDERR_FILENO) != 0) {
    progress = [&environment](const std::string& line) { environment.err << line << std::endl; };
  }
  auto table = bench::measure_table(**bed, runner, table_options, progress);
  if (!table) return pass_on(std::move(table));
  return bench::Report{options.ports[0],    options.ports[1], options.device,   (*bed)->virtual_time(),
                       (*bed)->line_rate(), table_options,    *std::move(table)};
}

int run_bench(const Environment& environment, const BenchOptions& options) {
  const auto refuse = [&](const Error& error) { return tool::report(environment, error); };
  const auto device = bench::parse_device(options.device);
  if (!device) return refuse(device.error());
  const auto line_rate = line_rate_of(options.line_rate);
  if (!line_rate) return refuse(line_rate.error());
  const auto plan = bench::plan_ports(options.ports[0], options.ports[1], *device, *line_rate);
  if (!plan) return refuse(plan.error());
  const auto table = table_options(options, plan->virtual_time);
  if (!table) return refuse(table.error());
  const auto report = measure(environment, options,
                              {.ports = *plan,
                               .device = *device,
                               .line_rate = *line_rate,
                               .max_size = std::ranges::max(table->sizes),
                               .log = environment.log},
                              *table);
  if (!report) return tool::report(environment, report.error());
  if (options.json) {
    environment.out << bench::to_json(*report).dump(2) << '\n';
  } else {
    environment.out << bench::to_text(*report);
  }
  return kSuccess;
}

void add_options(cli::App& command, BenchOptions& options) {
  command.add_option("ports", options.ports, "The port that sends and the one that receives")->required()->expected(2);
  command
      .add_option("--dut", options.device,
                  "In-process cards: what the wire between them contains: nothing (wire), or a forwarder "
                  "(forward?rate=500kpps,queue=64,loss=0.1%,seed=1)")
      ->capture_default_str();
  command
      .add_option("--sizes", options.sizes,
                  "Frame sizes in bytes, with the frame check sequence; by default those of RFC 2544")
      ->delimiter(',')
      ->check(cli::range(kMinSize, kMaxSize));
  command.add_option("--tests", options.tests, "Some of throughput, latency, frame-loss, back-to-back; by default all")
      ->delimiter(',')
      ->check(cli::one_of({"throughput", "latency", "frame-loss", "back-to-back"}));
  command.add_option("--duration", options.duration, "Seconds of each trial, and of the longest burst")
      ->check(cli::range(0.0001, 3600.0));
  command.add_option("--wait", options.wait, "Seconds to wait for late frames after a trial that lost some")
      ->check(cli::range(0.001, 60.0));
  command.add_option("--max-load", options.max_load, "The highest load, in percent of the line rate")
      ->capture_default_str();
  command.add_option("--resolution", options.resolution, "How exactly the throughput is searched")
      ->capture_default_str();
  command.add_option("--confirm", options.confirmations, "Trials without loss that confirm the throughput (1)")
      ->check(cli::range(0U, 1000U));
  command.add_option("--repeats", options.repeats, "Repeats of the latency trial and of the back-to-back search")
      ->check(cli::range(1U, 1000U));
  command.add_option("--line-rate", options.line_rate,
                     "Bits per second, such as 100Mbit; by default that of the slower link");
  command.add_flag("--rfc", options.rfc, "The durations and repeats of RFC 2544, which take hours in real time");
  command.add_flag("--json", options.json, "Print JSON, which pollux-bench-plot draws");
}

}  // namespace

void add_bench(cli::App& app, const Environment& environment, int& exit_code) {
  auto options = std::make_shared<BenchOptions>();
  cli::App* command = app.add_subcommand(
      "bench", "Measure a device under test between two ports: throughput, latency, loss (RFC 2544)");
  add_options(*command, *options);
  command->footer(
      "Two in-process cards are measured in virtual time: each frame leaves in its slot, software costs nothing, and\n"
      "two runs print the same. All other ports are measured in real time.\n\n"
      "Examples:\n"
      "  pollux bench sim:0 sim:1 --dut 'forward?rate=500kpps' --json | pollux-bench-plot - table.svg\n"
      "  pollux bench 'sim:0?loss=0.001' sim:1 --sizes 64,1518 --tests frame-loss\n"
      "  pollux bench vfio:0000:01:00.0 vfio:0000:02:00.0 --duration 10 --json");
  command->callback([options, &environment, &exit_code] { exit_code = run_bench(environment, *options); });
}

}  // namespace pollux::tool
