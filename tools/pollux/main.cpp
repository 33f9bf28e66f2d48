// SPDX-License-Identifier: BSD-3-Clause
// The `pollux` command: lists ports, moves them between the kernel and Pollux, controls their links, and
// exports in-process cards.
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "commands.hpp"
#ifdef POLLUX_HAS_CONFINEMENT
#include "confine/confine.hpp"
#endif
#include "common/cli.hpp"
#include "common/standard_streams.hpp"
#include "pollux/pollux.hpp"
#include "run_command.hpp"
#include "server_output.hpp"

namespace {

spdlog::level::level_enum level_of(pollux::LogLevel level) {
  switch (level) {
    case pollux::LogLevel::debug: return spdlog::level::debug;
    case pollux::LogLevel::info: return spdlog::level::info;
    case pollux::LogLevel::warning: return spdlog::level::warn;
    case pollux::LogLevel::error: return spdlog::level::err;
  }
  return spdlog::level::err;
}

bool ask(const std::string& question) {
  std::cerr << question << " [y/N] " << std::flush;
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

/// no-color.org: a set NO_COLOR turns colours off.
bool shows_colours() {
  const char* const off = std::getenv("NO_COLOR");
  const char* const terminal = std::getenv("TERM");
  const bool dumb = terminal == nullptr || std::string_view(terminal) == "dumb";
  return (off == nullptr || *off == '\0') && !dumb && ::isatty(STDOUT_FILENO) != 0;
}

int run(int argc, char** argv) {
  using namespace pollux::tool;
  const auto logger =
      std::make_shared<spdlog::logger>("pollux", std::make_shared<spdlog::sinks::ostream_sink_mt>(std::cerr, true));
  logger->set_pattern("%n: %l: %v");
  logger->set_level(spdlog::level::warn);

  pollux::SteadyClock clock;
  const pollux::host::KernelNetwork network;
  pollux::ContextOptions options;
  std::atomic<bool> has_errors = false;
  options.log = [&](pollux::LogLevel level, std::string_view message) {
    if (level == pollux::LogLevel::error) has_errors = true;
    logger->log(level_of(level), message);
  };
  pollux::Context context(options);
  const auto driver_of = [&](std::uint16_t vendor, std::uint16_t device) -> std::string {
    for (const pollux::SupportedCard& known : pollux::supported_cards(context)) {
      const bool is_this = known.card.vendor == vendor && known.card.device == device;
      if (is_this && known.card.not_driven.empty()) return known.driver;
    }
    return "";
  };
  Environment environment{{}, clock, network, options.log, driver_of, std::cout, std::cerr, context};
  if (::isatty(STDIN_FILENO) != 0) {
    environment.confirm = ask;
    environment.terminal = STDIN_FILENO;
  }
  environment.colours = shows_colours();
  environment.run_command = &run_command;
#ifdef POLLUX_HAS_CONFINEMENT
  environment.confine = [&](const Confinement& needed) { return confine(needed, options.log); };
#endif
  environment.open_port = [&](const std::string& uri) { return pollux::open_unconfigured(context, uri); };

  int exit_code = kSuccess;
  pollux::cli::App app("Lists network cards, moves them between the kernel and Pollux, and exports in-process ones",
                       "pollux");
  app.require_subcommand(1);
  app.fallthrough(true);
  app.add_flag_callback(
      "-v,--verbose", [&] { logger->set_level(spdlog::level::debug); }, "Log each step");
  add_addr(app, environment, exit_code);
  add_capture(app, environment, exit_code);
  add_bench(app, environment, exit_code);
  add_card(app, environment, exit_code);
  add_completion(app, environment, exit_code);
  add_doctor(app, environment, exit_code);
  add_ethtool(app, environment, exit_code);
  add_keeper(app, environment, exit_code);
  add_led(app, environment, exit_code);
  add_link(app, environment, exit_code);
  add_list(app, environment, exit_code);
  add_manual(app, environment, exit_code);
  add_phy(app, environment, exit_code);
  add_bind(app, environment, exit_code);
  add_unbind(app, environment, exit_code);
  add_nvm(app, environment, exit_code);
  add_regs(app, environment, exit_code);
  add_setup_user(app, environment, exit_code);
  add_selftest(app, environment, exit_code);
  add_wol(app, environment, exit_code);
  add_vf(app, environment, exit_code);
  add_time(app, environment, exit_code);
  add_xdp_helper(app, environment, exit_code);
#ifdef POLLUX_HAS_EXPORTER
  add_exporter(app, environment, exit_code);
#endif
  add_ports(app, environment, exit_code);
  add_settings(app, environment, exit_code);
  add_stats(app, environment, exit_code);
#ifdef POLLUX_HAS_TOP
  add_top(app, environment, exit_code);
#endif
  add_info(app, environment, exit_code);
  app.footer(
      "Examples:\n"
      "  pollux doctor\n"
      "  pollux list\n"
      "  pollux bind 0000:01:00.0\n"
      "  pollux info vfio:0000:01:00.0\n"
      "`pollux COMMAND --help` has the options and examples of each command. The status is 0 after success, 1 after a\n"
      "failure, and 2 if the arguments are wrong.");
  const int status = app.parse(argc, argv, std::cout, std::cerr).value_or(exit_code);
  return status == kSuccess && has_errors ? kFailure : status;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace pollux::tools;
  if (!secure_standard_streams()) {
    std::cerr << "pollux: standard output is closed\n";
    return pollux::tool::kFailure;
  }
  const int status = run(argc, argv);
  int error = flush_output();
  if (error == 0) error = pollux::tool::output_error();
  if (error != 0) std::cerr << "pollux: " << cannot_write(error) << '\n';
  return error != 0 && status == pollux::tool::kSuccess ? pollux::tool::kFailure : status;
}
