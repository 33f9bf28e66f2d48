// SPDX-License-Identifier: BSD-3-Clause
// Asks a card the open questions of docs/82576/interpretations.md. tools/silicon runs it.
#include "common/cli.hpp"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <iostream>
#include <set>
#include <string>
#include <vector>

#include "common/standard_streams.hpp"
#include "silicon_probe/report.hpp"

namespace {

using namespace pollux::silicon;

struct ProgramOptions {
  AskOptions ask;
  std::vector<std::string> only;
  bool json = false;
  bool list = false;
};

struct Counts {
  unsigned answered = 0;
  unsigned differing = 0;
  unsigned skipped = 0;
  unsigned failed = 0;

  void add(const Outcome& outcome) {
    if (outcome.state == State::answered) ++(outcome.answer.agrees() ? answered : differing);
    if (outcome.state == State::skipped) ++skipped;
    if (outcome.state == State::failed) ++failed;
  }
};

void print_summary(const Counts& counts, bool json) {
  if (json) {
    const nlohmann::json summary{{"as_expected", counts.answered},
                                 {"different", counts.differing},
                                 {"skipped", counts.skipped},
                                 {"failed", counts.failed},
                                 {"unasked", unasked_json()}};
    std::cout << nlohmann::json{{"summary", summary}}.dump() << std::endl;
  } else {
    std::cout << counts.answered << " answered as expected, " << counts.differing << " differently, " << counts.skipped
              << " skipped, " << counts.failed << " without an answer\n";
  }
}

bool is_chosen(const Probe& probe, const std::vector<std::string>& only) {
  return only.empty() || std::find(only.begin(), only.end(), probe.name) != only.end();
}

int run(const ProgramOptions& options) {
  Counts counts;
  for (const Probe& probe : probes()) {
    if (!is_chosen(probe, options.only)) continue;
    const Outcome outcome = ask(probe, options.ask);
    counts.add(outcome);
    // Each answer is written at once, so that it is not lost if the machine stops.
    std::cout << (options.json ? to_json(outcome).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + '\n'
                               : to_text(outcome))
              << std::flush;
  }
  print_summary(counts, options.json);
  return counts.failed == 0 ? 0 : 1;
}

/// The first of the names that no probe has; empty if there is none.
std::string unknown(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    const auto is_it = [&](const Probe& probe) { return probe.name == name; };
    if (std::none_of(probes().begin(), probes().end(), is_it)) return name;
  }
  return {};
}

int begin(int argc, char** argv) {
  ProgramOptions options;
  pollux::cli::App app("Asks an 82576 the open questions of docs/82576/interpretations.md, and prints its answers",
                       "silicon_probe");
  app.footer("The status is 0 if every question that was asked got an answer, expected or not.");
  app.add_option("port", options.ask.port, "The port that is asked, such as vfio:0000:01:00.0 or sim:0");
  app.add_option("partner", options.ask.partner, "The port at the other end of its cable");
  app.add_option("--only", options.only, "Ask only these probes: NAME,...")->delimiter(',');
  app.add_option("--traces", options.ask.traces,
                 "Write all register accesses of each probe to a text file in this folder")
      ->check(pollux::cli::existing_directory());
  app.add_option("--recordings", options.ask.recordings, "Record probes that use only registers in this folder")
      ->check(pollux::cli::existing_directory());
  app.add_option("--replay", options.ask.replay, "Ask the recordings in this folder in place of a card")
      ->check(pollux::cli::existing_directory());
  app.add_flag("--json", options.json, "Print one JSON object a line");
  app.add_flag("--list", options.list, "List the probes, and the questions that no probe asks");
  if (const auto status = app.parse(argc, argv, std::cout, std::cerr)) return *status;
  if (options.list) {
    std::cout << list_text();
    return 0;
  }
  if (options.ask.port.empty() && options.ask.replay.empty()) {
    std::cerr << "silicon_probe: name a port, such as vfio:0000:01:00.0; --list shows the probes\n";
    return 2;
  }
  if (const std::string name = unknown(options.only); !name.empty()) {
    std::cerr << "silicon_probe: there is no probe '" << name << "'; --list shows them\n";
    return 2;
  }
  // Each probe has a Context of its own, which repeats what concerns the machine.
  std::set<std::string, std::less<>> said;
  options.ask.log = [&said](pollux::LogLevel level, std::string_view message) {
    if (level == pollux::LogLevel::debug || !said.emplace(message).second) return;
    std::cerr << "silicon_probe: " << message << '\n';
  };
  return run(options);
}

}  // namespace

int main(int argc, char** argv) {
  if (!pollux::tools::secure_standard_streams()) {
    std::cerr << "silicon_probe: standard output is closed\n";
    return 1;
  }
  const int status = begin(argc, argv);
  const int error = pollux::tools::flush_output();
  if (error != 0) std::cerr << "silicon_probe: " << pollux::tools::cannot_write(error) << '\n';
  return error != 0 && status == 0 ? 1 : status;
}
