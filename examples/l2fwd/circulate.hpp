// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <spdlog/logger.h>

#include <cstdint>

#include "common/program_setup.hpp"
#include "l2fwd/options.hpp"

namespace pollux::examples {

/// Sends L2fwdOptions::circulate frames of 64 bytes on the first port. If l2fwd's two ports are each other's link
/// partner, these frames circulate forever. Errors: no_memory if the pool has fewer buffers, timeout if there is no
/// room in the ring for a second.
[[nodiscard]] Result<void> circulate(tools::ProgramSetup& setup, const L2fwdOptions& options);

/// Warns once, and early, if circulating frames do not return.
class ReturnWatch {
 public:
  ReturnWatch(std::uint32_t circulating, Duration start, spdlog::logger& log)
      : circulating_(circulating), start_(start), log_(log), over_(circulating == 0) {}

  void check(Duration now, bool have_returned);
  void end(bool have_returned);

 private:
  std::uint32_t circulating_;
  Duration start_;
  spdlog::logger& log_;
  bool over_;
};

}  // namespace pollux::examples
