// SPDX-License-Identifier: BSD-3-Clause
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <utility>

#include "pollux/device/fault.hpp"
#include "unit/trace/record_fixture.hpp"

namespace pollux::test {
namespace {

using testing::HasSubstr;

TEST_F(RecordTest, ReplayRepeatsTheRemovalOfTheCard) {
  const auto counting = std::make_shared<FaultInjector>();
  const auto with = [](const std::shared_ptr<FaultInjector>& faults) -> WrapDevice {
    return [faults](Context& context, std::unique_ptr<Device> inner) {
      return with_faults(context, std::move(inner), faults).value();
    };
  };
  static_cast<void>(record({.wrap = with(counting)}));
  const std::uint64_t at = counting->occurrences(FaultPoint::access) * 3 / 4;
  const Observation recorded =
      record({.wrap = with(std::make_shared<FaultInjector>(FaultPlan{.kind = FaultKind::removal, .at = at}))});
  EXPECT_NE(recorded.stop_error, "");
  const Observation replayed = replay();
  EXPECT_EQ(progress_->divergence(), "");
  EXPECT_TRUE(replayed.frames == recorded.frames);
  EXPECT_EQ(replayed.counters, recorded.counters);
  EXPECT_THAT(replayed.stop_error, HasSubstr("the card was removed"));
}

}  // namespace
}  // namespace pollux::test
