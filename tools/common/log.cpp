// SPDX-License-Identifier: BSD-3-Clause
#include "common/log.hpp"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <string_view>
#include <utility>

#include "common/cli.hpp"

namespace pollux::tools {
namespace {

/// The name of a level; empty for information.
class LevelWord final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&, spdlog::memory_buf_t& out) override {
    std::string_view word;
    if (message.level == spdlog::level::warn) word = "warning: ";
    if (message.level >= spdlog::level::err) word = "error: ";
    out.append(word.data(), word.data() + word.size());
  }
  [[nodiscard]] std::unique_ptr<custom_flag_formatter> clone() const override { return std::make_unique<LevelWord>(); }
};

}  // namespace

ProgramLog::ProgramLog(const std::string& name)
    : spdlog::logger(name, std::make_shared<spdlog::sinks::stderr_sink_mt>()) {
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  formatter->add_flag<LevelWord>('*').set_pattern("%n: %*%v");
  set_formatter(std::move(formatter));
  flush_on(spdlog::level::debug);
}

void ProgramLog::sink_it_(const spdlog::details::log_msg& message) {
  if (message.level >= spdlog::level::err) has_errors_.store(true, std::memory_order_relaxed);
  spdlog::logger::sink_it_(message);
}

LogCallback to_log(std::shared_ptr<spdlog::logger> log) {
  return [log = std::move(log)](LogLevel level, std::string_view message) {
    switch (level) {
      case LogLevel::debug: log->debug("{}", message); break;
      case LogLevel::info: log->info("{}", message); break;
      case LogLevel::warning: log->warn("{}", message); break;
      case LogLevel::error: log->error("{}", message); break;
    }
  };
}

int report_failure(spdlog::logger& log, const Error& error) {
  log.error("{}", error.message());
  return error.code == ErrorCode::invalid_argument ? cli::kUsageError : 1;
}

}  // namespace pollux::tools
