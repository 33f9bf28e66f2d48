// SPDX-License-Identifier: BSD-3-Clause
#include "vf_count.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace pollux::tool {
namespace {

/// A port that can have three functions, and has two.
struct ThreeFunctions {
  [[nodiscard]] unsigned functions() const { return enabled; }
  [[nodiscard]] static unsigned max_functions() { return 3; }
  Result<void> set_functions(unsigned count) {
    numbers.push_back(count);
    if (std::ranges::find(refused, count) != refused.end()) return fail(ErrorCode::io_error, "no bus numbers");
    enabled = count;
    return {};
  }
  unsigned enabled = 2;
  std::vector<unsigned> refused;
  std::vector<unsigned> numbers;
};

TEST(VfCount, KeepsTheFunctionsIfMoreThanPossibleAreRequested) {
  ThreeFunctions port;
  ThreeFunctions* functions = &port;
  const auto changed = change_functions(functions, 4);
  ASSERT_FALSE(changed);
  EXPECT_EQ(changed.error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(port.numbers, testing::IsEmpty());
  EXPECT_TRUE(change_functions(functions, 3));
  EXPECT_THAT(port.numbers, testing::ElementsAre(0U, 3U));
}

TEST(VfCount, EnablesTheFormerFunctionsAgain) {
  ThreeFunctions port;
  ThreeFunctions* functions = &port;
  port.refused = {3};
  const auto changed = change_functions(functions, 3);
  ASSERT_FALSE(changed);
  EXPECT_EQ(changed.error().what, "no bus numbers; it has 2 functions again");
  EXPECT_EQ(port.enabled, 2U);
  port.refused = {3, 2};
  EXPECT_EQ(change_functions(functions, 3).error().what, "no bus numbers; its 2 functions are gone");
}

}  // namespace
}  // namespace pollux::tool
