// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <spdlog/logger.h>

#include <memory>
#include <string>

#include "pollux/base/error.hpp"
#include "pollux/base/log.hpp"

namespace pollux::examples {

/// Logs "name: text" on standard error, with a prefix for warnings and errors.
[[nodiscard]] std::shared_ptr<spdlog::logger> make_log(const std::string& name);

/// Sends the library's messages to `log`.
[[nodiscard]] LogCallback to_log(std::shared_ptr<spdlog::logger> log);

/// Logs "error: what: hint" and returns the exit status for it.
[[nodiscard]] int report_failure(spdlog::logger& log, const Error& error);

}  // namespace pollux::examples
