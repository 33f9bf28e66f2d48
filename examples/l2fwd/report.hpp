// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "common/account.hpp"
#include "common/output.hpp"
#include "common/program_setup.hpp"
#include "l2fwd/options.hpp"
#include "l2fwd/workers.hpp"

namespace pollux::examples {

/// Prints a line every second, and the summary.
class L2fwdReport {
 public:
  /// All arguments outlive the object.
  L2fwdReport(const L2fwdOptions& options, ProgramSetup& setup, const Workers& workers, Output& output);

  /// The events since the last line.
  void line(Duration now);
  void summary(Duration now, const Account& account);

 private:
  struct Snapshot {
    Duration at{0};
    Traffic forwarded;
    std::uint64_t polls = 0;
    std::uint64_t empty_polls = 0;
  };
  [[nodiscard]] Snapshot snapshot(Duration now) const;

  const L2fwdOptions& options_;
  ProgramSetup& setup_;
  const Workers& workers_;
  Output& output_;
  Snapshot start_;
  Snapshot last_;
};

}  // namespace pollux::examples
