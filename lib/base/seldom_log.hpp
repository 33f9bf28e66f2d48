// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <map>
#include <string>
#include <utility>

#include "pollux/base/clock.hpp"
#include "pollux/base/log.hpp"

namespace pollux {

/// Logs each message at most once a minute, so that no client can fill the log, or hold others up by it.
/// Thread rule: one thread.
class SeldomLog {
 public:
  /// `clock` outlives it.
  SeldomLog(const Clock& clock, LogCallback log) : clock_(clock), log_(std::move(log)) {}
  void log(LogLevel level, std::string text);

 private:
  const Clock& clock_;
  LogCallback log_;
  std::map<std::string, Time> logged_;  // in the last minute
};

}  // namespace pollux
