// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <thread>
#include <utility>

#include "base/own_process.hpp"

namespace pollux {

/// A thread of the process that started it. In a forked child it does not exist, so there is nothing to join.
class OwnThread {
 public:
  OwnThread() = default;
  /// As that of std::thread.
  explicit OwnThread(std::function<void()> function) : thread_(std::move(function)) {}
  OwnThread(OwnThread&&) = default;
  OwnThread& operator=(OwnThread&&) = default;
  /// As that of std::thread: it has been joined.
  ~OwnThread() {
    if (thread_.joinable() && !process_.is_here()) thread_.detach();
  }

  [[nodiscard]] bool joinable() const noexcept { return thread_.joinable() && process_.is_here(); }
  void join() { thread_.join(); }

 private:
  std::thread thread_;
  OwnProcess process_;
};

}  // namespace pollux
