// SPDX-License-Identifier: BSD-3-Clause
#include "base/seldom_log.hpp"

#include <chrono>

namespace pollux {

void SeldomLog::log(LogLevel level, std::string text) {
  const Time now = clock_.now();
  std::erase_if(logged_, [now](const auto& logged) { return now - logged.second >= std::chrono::minutes(1); });
  const auto [logged, is_new] = logged_.try_emplace(std::move(text), now);
  if (is_new) log_(level, logged->first);
}

}  // namespace pollux
