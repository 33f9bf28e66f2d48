// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "unit/mem/sizes.hpp"

namespace pollux::test {

/// Huge pages of 2 MiB set aside for one test; what it added is taken away when it goes away. Tests that have one
/// do not run at the same time, even in several processes.
class ReservedHugePages {
 public:
  explicit ReservedHugePages(std::uint64_t pages);
  ReservedHugePages(const ReservedHugePages&) = delete;
  ReservedHugePages& operator=(const ReservedHugePages&) = delete;
  ~ReservedHugePages();

  static constexpr std::size_t kPageSize = kTwoMi;
  /// Empty if there are as many free pages as were asked for; else why not, for GTEST_SKIP.
  [[nodiscard]] const std::string& missing() const { return missing_; }
  [[nodiscard]] static std::uint64_t free();
  /// Whether `pages` are free within a bound: the kernel gives a dead process's pages back a little later.
  [[nodiscard]] static bool become_free(std::uint64_t pages);

 private:
  int lock_ = -1;
  std::uint64_t added_ = 0;
  std::string missing_;
};

/// What a child process did: it ran `work`, whose result it wrote to a pipe.
struct ChildReport {
  std::string text;    ///< what `work` returned
  int exit_code = -1;  ///< -1 if a signal ended it
  int signal = 0;
};

/// Runs `work` in a forked child, which ends with _exit.
[[nodiscard]] ChildReport in_child(const std::function<std::string()>& work);

/// Gives up root's rights, as far as this process has them, so that limits hold for it.
void become_nobody();

/// The numbers of this process's open file descriptors, ascending.
[[nodiscard]] std::vector<int> open_descriptors();

/// True when `condition` holds within five seconds.
[[nodiscard]] bool eventually(const std::function<bool()>& condition);

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif
#else
inline constexpr bool kSanitized = false;
#endif

}  // namespace pollux::test
