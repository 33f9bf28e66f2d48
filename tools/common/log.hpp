// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <spdlog/logger.h>

#include <atomic>
#include <memory>
#include <string>

#include "pollux/base/error.hpp"
#include "pollux/base/log.hpp"

namespace pollux::tools {

/// Logs "name: text" on standard error, with a prefix for warnings and errors, and remembers whether there was an
/// error.
class ProgramLog final : public spdlog::logger {
 public:
  explicit ProgramLog(const std::string& name);
  [[nodiscard]] bool has_errors() const noexcept { return has_errors_.load(std::memory_order_relaxed); }

 private:
  void sink_it_(const spdlog::details::log_msg& message) override;

  std::atomic<bool> has_errors_{false};
};

/// Sends the library's messages to `log`.
[[nodiscard]] LogCallback to_log(std::shared_ptr<spdlog::logger> log);

/// Logs "error: what: hint" and returns the exit status for it: cli::kUsageError for invalid_argument, since all values
/// are the user's, and 1 for other errors.
[[nodiscard]] int report_failure(spdlog::logger& log, const Error& error);

}  // namespace pollux::tools
