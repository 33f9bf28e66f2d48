// SPDX-License-Identifier: BSD-3-Clause
#include "common/options.hpp"

#include <chrono>

namespace pollux::tools {

Duration from_seconds(double seconds) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

double to_seconds(Duration span) { return std::chrono::duration<double>(span).count(); }

}  // namespace pollux::tools
