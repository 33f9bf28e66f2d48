// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "pollux/base/log.hpp"

namespace pollux {

/// Log messages that are written after a lock is released, since the log callback may call the Context.
class PendingLog {
 public:
  void add(LogLevel level, std::string text) { messages_.emplace_back(level, std::move(text)); }
  [[nodiscard]] const std::vector<std::pair<LogLevel, std::string>>& messages() const noexcept { return messages_; }

 private:
  std::vector<std::pair<LogLevel, std::string>> messages_;
};

}  // namespace pollux
