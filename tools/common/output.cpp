// SPDX-License-Identifier: BSD-3-Clause
#include "common/output.hpp"

#include "common/log.hpp"
#include "common/standard_streams.hpp"

namespace pollux::tools {

void Output::line(std::string_view text) { note(write_all(std::string(text) + '\n')); }

void Output::note(int error) {
  if (error == 0 || failed_) return;
  failed_ = true;
  log_.error("{}", cannot_write(error));
}

int Output::finish(int status) {
  note(flush_output());
  return status == 0 && failed_ ? 1 : status;
}

int run_program(const std::string& name,
                const std::function<int(const std::shared_ptr<spdlog::logger>& log, Output& output)>& body) {
  const bool has_output = secure_standard_streams();
  const auto log = std::make_shared<ProgramLog>(name);
  if (!has_output) {
    log->error("standard output is closed");
    return 1;
  }
  Output output(*log);
  const int status = output.finish(body(log, output));
  return status == 0 && log->has_errors() ? 1 : status;
}

}  // namespace pollux::tools
