// SPDX-License-Identifier: BSD-3-Clause
#include "base/seldom_warning.hpp"

#include <chrono>

namespace pollux {

void SeldomWarning::log(std::string text) {
  const Time now = clock_.now();
  std::erase_if(logged_, [now](const auto& logged) { return now - logged.second >= std::chrono::minutes(1); });
  const auto [logged, is_new] = logged_.try_emplace(std::move(text), now);
  if (is_new) log_(LogLevel::warning, logged->first);
}

}  // namespace pollux
