// SPDX-License-Identifier: BSD-3-Clause
// What a checked build of the library reports.
#include "fixture.hpp"

namespace pollux::c::test {
namespace {

TEST_F(C, AFrameThatIsFreedTwiceIsReported) {
  open_wire();
  pollux_frame one = frame();
  pollux_free(pool, &one, 1);
  EXPECT_EQ(logged, "");
  pollux_free(pool, &one, 1);
  EXPECT_THAT(logged, ::testing::HasSubstr("pollux_free"));
}

}  // namespace
}  // namespace pollux::c::test
