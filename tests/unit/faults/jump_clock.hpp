// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdio>
#include <cstdlib>

#include "pollux/base/clock.hpp"

namespace pollux::test {

/// Virtual time that jumps: a sleep costs nothing, however long. A card catches up with it when it is looked at.
/// Nothing that waits on it can hang, since a program that sleeps past `kEnd` is ended.
class JumpClock final : public Clock {
 public:
  static constexpr Duration kEnd = std::chrono::minutes(30);

  [[nodiscard]] Duration now() const override { return now_; }
  void sleep_for(Duration span) override {
    if (span > Duration::zero()) now_ += span;
    if (now_ < kEnd) return;
    std::fputs("a wait has no end\n", stderr);
    std::abort();
  }

 private:
  Duration now_{0};
};

}  // namespace pollux::test
