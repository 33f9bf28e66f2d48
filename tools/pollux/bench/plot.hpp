// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

#include "bench/report.hpp"
#include "pollux/base/error.hpp"

namespace pollux::tool::bench {

/// Whether a plot can be written to `file`: its name ends in .svg or .png, and its directory is writable. For the time
/// before a long measurement. Errors: invalid_argument, not_found, permission_denied.
[[nodiscard]] Result<void> check_plot_file(const std::string& file);

/// Draws throughput, frame loss, latency and bursts into `file`, as SVG or PNG by its name. The same report gives the
/// same bytes. Errors: those of check_plot_file, and io_error.
[[nodiscard]] Result<void> write_plot(const Report& report, const std::string& file);

}  // namespace pollux::tool::bench
