// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "support/sanitized.hpp"
#include "unit/mem/sizes.hpp"

namespace pollux::test {

/// Adds huge pages of 2 MiB for one test and removes them in the destructor. Tests that use it never run at the same
/// time, even in different processes.
class ReservedHugePages {
 public:
  explicit ReservedHugePages(std::uint64_t pages);
  ReservedHugePages(const ReservedHugePages&) = delete;
  ReservedHugePages& operator=(const ReservedHugePages&) = delete;
  ~ReservedHugePages();

  static constexpr std::size_t kPageSize = kTwoMi;
  /// Empty if there are enough free pages; otherwise the reason, for GTEST_SKIP.
  [[nodiscard]] const std::string& missing() const { return missing_; }
  [[nodiscard]] static std::uint64_t free();
  /// Waits (bounded) until `pages` are free, since the kernel frees a dead process's pages a little later.
  [[nodiscard]] static bool become_free(std::uint64_t pages);

 private:
  int lock_ = -1;
  std::uint64_t added_ = 0;
  std::string missing_;
};

/// The result of a child process that ran `work` and wrote its result to a pipe.
struct ChildReport {
  std::string text;    ///< what `work` returned
  int exit_code = -1;  ///< -1 if a signal ended it
  int signal = 0;
};

/// Runs `work` in a forked child, which ends with _exit.
[[nodiscard]] ChildReport in_child(const std::function<std::string()>& work);

/// Drops root's rights, if this process has them, so that limits apply to it.
void become_nobody();

/// The numbers of this process's open file descriptors, ascending.
[[nodiscard]] std::vector<int> open_descriptors();

/// Whether `condition` becomes true within five seconds.
[[nodiscard]] bool eventually(const std::function<bool()>& condition);

}  // namespace pollux::test
