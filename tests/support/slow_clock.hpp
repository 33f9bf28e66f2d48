// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "pollux/base/clock.hpp"

namespace pollux::test {

/// Virtual time, of which each look at the clock takes some, as on a machine that is emulated or has other work.
class SlowClock final : public Clock {
 public:
  explicit SlowClock(Duration look) : look_(look) {}
  [[nodiscard]] Duration now() const override { return now_ += look_; }
  void sleep_for(Duration span) override { now_ += span; }

 private:
  Duration look_;
  mutable Duration now_{0};
};

}  // namespace pollux::test
