// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>

#include "common/program_setup.hpp"
#include "common/stop_signals.hpp"

namespace pollux::tools {

/// Runs the poller, and services the ports, until Ctrl-C or for so many seconds. Errors: those of the poller and of the
/// service.
[[nodiscard]] Result<void> run_poller(ProgramSetup& setup, Poller& poller, const StopSignals& stop,
                                      std::optional<double> seconds);

}  // namespace pollux::tools
