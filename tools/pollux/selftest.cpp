// SPDX-License-Identifier: BSD-3-Clause
// `pollux selftest`: tests a port's card.
#include <fmt/format.h>
#include "common/cli.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>

#include "commands.hpp"
#include "pollux/net/self_test.hpp"
#include "pollux/net/settings.hpp"
#include "report.hpp"

namespace pollux::tool {
namespace {

/// Autonegotiation to 1000BASE-T takes about three seconds.
constexpr Duration kOnlineLinkLimit = std::chrono::seconds(5);

struct SelfTestOptions {
  std::string port;
  bool online = false;
  bool json = false;
};

Result<std::vector<SelfTestResult>> run_parts(Port& port, bool online) {
  const auto test = port.capability<SelfTest>();
  if (!test) return tl::unexpected<Error>(port.lacks(SelfTest::kId));
  if (!online) return test->test_offline();
  auto configured = port.change([](Settings& settings) {
    settings.rx.resize(1);
    settings.tx.resize(1);
  });
  if (!configured) return pass_on(std::move(configured));
  if (auto started = port.start(); !started) return pass_on(std::move(started));
  static_cast<void>(port.wait_for_link(kOnlineLinkLimit));
  return test->test_online();
}

void print(const Environment& environment, const SelfTestOptions& options, const std::vector<SelfTestResult>& results) {
  if (!options.json) {
    for (const SelfTestResult& result : results) {
      environment.out << fmt::format("{:<12}{}{}{}\n", to_string(result.part), to_string(result.outcome),
                                     result.detail.empty() ? "" : ": ", result.detail);
    }
    return;
  }
  nlohmann::json parts = nlohmann::json::array();
  for (const SelfTestResult& result : results) {
    parts.push_back(
        {{"part", to_string(result.part)}, {"outcome", to_string(result.outcome)}, {"detail", result.detail}});
  }
  environment.out << nlohmann::json{{"port", options.port}, {"parts", parts}}.dump(2) << '\n';
}

int run_selftest(const Environment& environment, const SelfTestOptions& options) {
  if (!environment.open_port) return kFailure;
  auto port = environment.open_port(options.port);
  if (!port) return report(environment, port.error());
  const auto results = run_parts(*port, options.online);
  if (!results) return report(environment, results.error());
  print(environment, options, *results);
  const bool failed = std::ranges::any_of(
      *results, [](const SelfTestResult& result) { return result.outcome == SelfTestOutcome::failed; });
  return failed ? kFailure : kSuccess;
}

}  // namespace

void add_selftest(cli::App& app, const Environment& environment, int& exit_code) {
  auto options = std::make_shared<SelfTestOptions>();
  cli::App* command =
      app.add_subcommand("selftest", "Test a port's card: registers, NVM, interrupts, loopback and link");
  command->add_option("port", options->port, "A port, such as vfio:0000:01:00.0 or sim:0")->required();
  command->add_flag("--online", options->online, "Test only the link, of the started port");
  command->add_flag("--json", options->json, "Print JSON");
  command->footer(
      "pollux selftest 0000:01:00.0\n"
      "The parts are those of `ethtool -t`. The status is 1 if a part failed. Without a cable the link fails.");
  command->callback([options, &environment, &exit_code] { exit_code = run_selftest(environment, *options); });
}

}  // namespace pollux::tool
