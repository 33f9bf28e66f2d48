// SPDX-License-Identifier: BSD-3-Clause
#include "common/rates.hpp"

namespace pollux::tools {

Rate rate_of(const Traffic& traffic, double seconds) noexcept {
  if (seconds <= 0) return {};
  const auto frames = static_cast<double>(traffic.frames);
  const auto bytes = static_cast<double>(traffic.bytes + kFcsBytes * traffic.frames);
  return {frames / seconds / 1e6, bytes * 8 / seconds / 1e6};
}

}  // namespace pollux::tools
