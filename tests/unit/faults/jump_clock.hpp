// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdio>
#include <cstdlib>

#include "pollux/base/clock.hpp"

namespace pollux::test {

/// A clock with virtual time: a sleep advances the time and returns immediately. The card processes due events at its
/// next access. The test aborts if the time passes `kEnd`, so an endless wait cannot hang it.
class JumpClock final : public Clock {
 public:
  static constexpr Duration kEnd = std::chrono::minutes(30);

  [[nodiscard]] Duration now() const override { return now_; }
  void sleep_for(Duration span) override {
    if (span > Duration::zero()) now_ += span;
    if (now_ < kEnd) return;
    std::fputs("a wait does not end\n", stderr);
    std::abort();
  }

 private:
  Duration now_{0};
};

}  // namespace pollux::test
