// SPDX-License-Identifier: BSD-3-Clause
// `pollux stats`: the counters of a port of a running program.
#include <fmt/format.h>
#include "common/cli.hpp"

#include <memory>
#include <ostream>
#include <string>

#include "commands.hpp"
#include "report.hpp"
#include "telemetry_client.hpp"

namespace pollux::tool {
namespace {

struct StatsOptions {
  std::string port;
  bool all = false;
  bool json = false;
  bool all_users = false;
};

/// All that a program says about the counters of a port.
Result<TelemetryJson> collect(TelemetryClient& client, const RunningPort& port) {
  TelemetryJson all{{"port", port.name}, {"uri", port.uri}, {"pid", port.pid}, {"program", port.program}};
  const TelemetryJson params{{"port", port.name}};
  for (const auto& [name, method] : {std::pair{"link", "port.link"}, std::pair{"stats", "port.stats"},
                                     std::pair{"queues", "port.queues"}, std::pair{"card", "port.xstats"}}) {
    auto answer = client.call(method, params);
    if (!answer) return answer;
    all[name] = *std::move(answer);
  }
  auto account = client.call("account");
  if (!account) return account;
  all["account"] = *std::move(account);
  return all;
}

class Printer {
 public:
  Printer(const Environment& environment, bool all) : environment_(environment), all_(all) {}

  void title(const std::string& text) {
    environment_.out << text << '\n';
    is_empty_ = true;
  }
  /// If no count followed the title.
  void none() {
    if (is_empty_) environment_.out << "  none\n";
  }
  /// Zero is left out unless all are shown.
  void count(const std::string& name, const TelemetryJson& value) {
    if (!value.is_number() || (!all_ && value == 0)) return;
    is_empty_ = false;
    environment_.out << fmt::format("  {:<24}{:>20}\n", name, value.dump());
  }

 private:
  const Environment& environment_;
  bool all_;
  bool is_empty_ = true;
};

void print_members(Printer& printer, const TelemetryJson& counters, const std::string& prefix = {}) {
  if (!counters.is_object()) return;
  for (const auto& [name, value] : counters.items()) {
    if (name != "time_ns") printer.count(prefix + printable(name), value);
  }
}

void print_queues(Printer& printer, const TelemetryJson& queues, const char* direction) {
  const TelemetryJson& all = member(queues, direction);
  for (std::size_t i = 0; all.is_array() && i < all.size(); ++i)
    print_members(printer, all[i], fmt::format("{}_queue_{}_", direction, i));
}

std::string account_text(const TelemetryJson& account) {
  const auto number = [&](const char* name) { return digits_of(account, name); };
  const std::string made = member(account, "made") == 0 ? "" : " + made " + number("made");
  return fmt::format("account of the program: received {}{} = sent {} + dropped {} + in flight {} + kept {}: {}",
                     number("received"), made, number("sent"), number("dropped"), number("in_flight"), number("kept"),
                     member(account, "holds") == true ? "holds" : "DOES NOT HOLD");
}

void print_stats(const Environment& environment, const StatsOptions& options, const TelemetryJson& all) {
  Printer printer(environment, options.all);
  const TelemetryJson& link = member(all, "link");
  const TelemetryJson& stats = member(all, "stats");
  const bool is_up = member(link, "up") == true;
  printer.title(fmt::format("{} ({}) of {}, process {}: {}, link {}", text_of(all, "port"), text_of(all, "uri"),
                            text_of(all, "program"), digits_of(all, "pid"), text_of(stats, "state"),
                            is_up ? fmt::format("up, {} Mb/s", digits_of(link, "speed")) : "down"));
  print_members(printer, stats);
  printer.title("drops by reason");
  print_members(printer, member(stats, "drops"));
  printer.none();
  printer.title("queues");
  print_queues(printer, member(all, "queues"), "rx");
  print_queues(printer, member(all, "queues"), "tx");
  printer.title("card");
  print_members(printer, member(member(all, "card"), "counters"));
  const TelemetryJson& account = member(all, "account");
  if (!account.is_object()) return;
  printer.title(account_text(account));
  printer.title("drops of the program and all its ports by reason");
  print_members(printer, member(account, "drops"));
  printer.none();
}

int run_stats(const Environment& environment, const StatsOptions& options) {
  const auto port =
      select_port(running_ports(telemetry_directories(options.all_users ? Users::all : Users::own)), options.port);
  if (!port) return report(environment, port.error());
  auto client = TelemetryClient::connect(port->socket);
  if (!client) return report(environment, client.error());
  const auto all = collect(*client, *port);
  if (!all) return report(environment, all.error());
  if (options.json) {
    environment.out << json_text(*all) << '\n';
  } else {
    print_stats(environment, options, *all);
  }
  return kSuccess;
}

}  // namespace

void add_stats(cli::App& app, const Environment& environment, int& exit_code) {
  auto options = std::make_shared<StatsOptions>();
  cli::App* command = app.add_subcommand("stats", "Show the counters of a port of a running program");
  command->add_option("port", options->port, "A port as `pollux ports` lists it: its name, its URI, or the process id")
      ->required();
  command->add_flag("--all", options->all, "Show counters that are zero, too");
  command->add_flag("--json", options->json, "Print JSON, with all counters");
  command->add_flag("--all-users", options->all_users, "As root: also ask the programs of other users");
  command->footer("pollux stats plx0\nThe port is not touched: its program reads the counters between two bursts.");
  command->callback([options, &environment, &exit_code] { exit_code = run_stats(environment, *options); });
}

}  // namespace pollux::tool
