// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>

#include "common/mac_text.hpp"
#include "common/options.hpp"
#include "pollux/net/link.hpp"

namespace pollux::examples {

void add_port_options(CLI::App& app, PortOptions& options);
/// --queues and --cores, for programs that work on several queues.
void add_queue_options(CLI::App& app, PortOptions& options);
/// --telemetry. `add_port_options` has it, too.
void add_telemetry_option(CLI::App& app, PortOptions& options);
/// What no single option shows. For the callback of `app`. Throws CLI::ValidationError.
void check_queue_options(const PortOptions& options);
/// Checks a number of frames: at least one.
[[nodiscard]] CLI::Range frame_count();
/// Checks for a number from `lowest` to `highest`; "nan" is rejected.
[[nodiscard]] CLI::Validator number(double lowest, double highest);
/// --seconds: when the program ends.
void add_seconds_option(CLI::App& app, std::optional<double>& seconds);
void add_run_options(CLI::App& app, RunOptions& options);
/// Adds an option that parses "02:00:00:00:00:01" into `mac`.
CLI::Option* add_mac_option(CLI::App& app, const char* name, std::optional<MacAddress>& mac, const char* description);

/// Parses the command line. Returns the status with which to end at once: 0 after --help, kUsageError after a printed
/// error. Returns nothing if the program can go on.
[[nodiscard]] std::optional<int> parse(CLI::App& app, int argc, char** argv);

}  // namespace pollux::examples
