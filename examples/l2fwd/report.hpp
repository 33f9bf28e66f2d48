// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "common/account.hpp"
#include "common/output.hpp"
#include "common/program_setup.hpp"
#include "l2fwd/circulate.hpp"
#include "l2fwd/options.hpp"
#include "l2fwd/workers.hpp"

namespace pollux::examples {

/// Says what the program does: when it begins, a line every second, and a summary.
class L2fwdReport {
 public:
  /// All arguments outlive the object.
  L2fwdReport(const L2fwdOptions& options, tools::ProgramSetup& setup, const Workers& workers, spdlog::logger& log,
              tools::Output& output);

  /// Call it often: prints a line when a second has passed.
  void tick(Duration now);
  /// No more frames are forwarded.
  void end() { returns_.end(workers_.forwarded().frames != 0); }
  void summary(Duration now, const tools::Account& account);

 private:
  struct Snapshot {
    Duration at{0};
    tools::Traffic forwarded;
    std::uint64_t polls = 0;
    std::uint64_t empty_polls = 0;
  };
  [[nodiscard]] Snapshot snapshot(Duration now) const;
  /// The events since the last line.
  void line(Duration now);

  const L2fwdOptions& options_;
  tools::ProgramSetup& setup_;
  const Workers& workers_;
  spdlog::logger& log_;
  tools::Output& output_;
  Snapshot start_;
  Snapshot last_;
  Duration line_due_;
  ReturnWatch returns_;
};

}  // namespace pollux::examples
