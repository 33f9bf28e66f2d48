// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "pollux/mem/burst.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/mem/mempool.hpp"

namespace pollux::test {

/// A Context with ordinary pages that records each misuse. Its pools may outlive it.
class PoolFixture {
 public:
  PoolFixture()
      : context_({.on_misuse = [this](const Misuse& misuse) { note(misuse); }, .huge_pages = HugePages::never}) {}

  [[nodiscard]] Context& context() { return context_; }

  /// A pool with these options, which must be valid.
  [[nodiscard]] Mempool pool(MempoolOptions options) {
    auto pool = Mempool::create(context_, std::move(options));
    if (!pool) ADD_FAILURE() << pool.error().message();
    return std::move(pool).value();
  }

  [[nodiscard]] std::vector<Misuse> misuses() const {
    const std::lock_guard lock(mutex_);
    return misuses_;
  }

 private:
  void note(const Misuse& misuse) {
    const std::lock_guard lock(mutex_);
    misuses_.push_back(misuse);
  }

  mutable std::mutex mutex_;
  std::vector<Misuse> misuses_;
  Context context_;
};

/// Matches a Misuse of that kind whose text contains each of `parts`.
MATCHER_P2(IsMisuse, kind, parts, "") {
  if (arg.kind != kind) return false;
  for (const std::string& part : parts) {
    if (arg.what.find(part) == std::string::npos) return false;
  }
  return true;
}

/// "file:line", as in misuse reports.
[[nodiscard]] inline std::string location(const Site& site) {
  return std::string(site.file) + ":" + std::to_string(site.line);
}

}  // namespace pollux::test
