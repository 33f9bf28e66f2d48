// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "pollux/base/log.hpp"

namespace pollux {

/// What is to be logged once a lock has been let go, since the callback may call the Context again.
class PendingLog {
 public:
  void add(LogLevel level, std::string text) { messages_.emplace_back(level, std::move(text)); }
  [[nodiscard]] const std::vector<std::pair<LogLevel, std::string>>& messages() const noexcept { return messages_; }

 private:
  std::vector<std::pair<LogLevel, std::string>> messages_;
};

}  // namespace pollux
