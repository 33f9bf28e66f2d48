// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include "common/cli.hpp"

#include "common/mac_text.hpp"
#include "common/options.hpp"
#include "pollux/net/link.hpp"

namespace pollux::tools {

void add_port_options(cli::App& app, PortOptions& options);
/// --queues and --cores, for programs that work on several queues.
void add_queue_options(cli::App& app, PortOptions& options);
/// --telemetry. `add_port_options` has it, too.
void add_telemetry_option(cli::App& app, PortOptions& options);
/// What no single option shows. For the callback of `app`. Throws cli::UsageError.
void check_queue_options(const PortOptions& options);
/// --seconds: when the program ends.
void add_seconds_option(cli::App& app, std::optional<double>& seconds);
void add_run_options(cli::App& app, RunOptions& options);
/// Adds an option that parses "02:00:00:00:00:01" into `mac`.
cli::Option* add_mac_option(cli::App& app, const char* name, std::optional<MacAddress>& mac, const char* description);

/// Parses the command line. Returns the status with which to end at once: 0 after --help, kUsageError after a printed
/// error. Returns nothing if the program can go on.
[[nodiscard]] std::optional<int> parse(cli::App& app, int argc, char** argv);

}  // namespace pollux::tools
