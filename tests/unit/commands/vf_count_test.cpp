// SPDX-License-Identifier: BSD-3-Clause
#include "vf_count.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace pollux::tool {
namespace {

/// Of a port that can have three functions, and has two.
class VfCount : public testing::Test {
 protected:
  [[nodiscard]] Result<void> change(unsigned wanted) {
    const auto set = [this](unsigned count) -> Result<void> {
      numbers.push_back(count);
      if (std::ranges::find(refused, count) != refused.end()) return fail(ErrorCode::io_error, "no bus numbers");
      enabled = count;
      return {};
    };
    return change_functions({.enabled = enabled, .possible = 3, .set = set}, wanted);
  }
  unsigned enabled = 2;
  std::vector<unsigned> refused;
  std::vector<unsigned> numbers;
};

TEST_F(VfCount, KeepsTheFunctionsIfMoreThanPossibleAreRequested) {
  const auto changed = change(4);
  ASSERT_FALSE(changed);
  EXPECT_EQ(changed.error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(numbers, testing::IsEmpty());
  EXPECT_TRUE(change(3));
  EXPECT_THAT(numbers, testing::ElementsAre(0U, 3U));
}

TEST_F(VfCount, EnablesTheFormerFunctionsAgain) {
  refused = {3};
  const auto changed = change(3);
  ASSERT_FALSE(changed);
  EXPECT_EQ(changed.error().what, "no bus numbers; it has 2 functions again");
  EXPECT_EQ(enabled, 2U);
  refused = {3, 2};
  EXPECT_EQ(change(3).error().what, "no bus numbers; its 2 functions are gone");
}

}  // namespace
}  // namespace pollux::tool
