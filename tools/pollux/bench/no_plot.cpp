// SPDX-License-Identifier: BSD-3-Clause
// Takes the place of plot.cpp in builds without cairo.
#include "bench/plot.hpp"

namespace pollux::tool::bench {

Result<void> check_plot_file(const std::string& file) {
  return fail(ErrorCode::not_supported, file + ": this build cannot draw plots",
              "install libcairo2-dev and build again, or use --json and another program");
}

Result<void> write_plot(const Report& /*report*/, const std::string& file) { return check_plot_file(file); }

}  // namespace pollux::tool::bench
