// SPDX-License-Identifier: BSD-3-Clause
#include "differential/observation.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <initializer_list>
#include <utility>

namespace pollux::differential {
namespace {

using testing::HasSubstr;

Observations list_of(std::initializer_list<std::pair<const char*, std::uint64_t>> values) {
  Observations list;
  for (const auto& [what, value] : values) list.add(what, value);
  return list;
}

const std::array kKnown{Difference{Scope::traffic, "rx status", 0x30, "D-ONE", Zero::qemu},
                        Difference{Scope::traffic, "PRC", Difference::kAnyBits, "D-TWO"},
                        Difference{Scope::reset, "CTRL", 0x1, "D-THREE"}};

struct Comparing : testing::Test {
  void compare(const Observations& model, const Observations& qemu) { comparison.add(model, qemu, "here"); }
  Comparison comparison{Scope::traffic, kKnown};
};

TEST_F(Comparing, EqualListsAreAlike) {
  compare(list_of({{"a", 1}, {"b", 2}}), list_of({{"a", 1}, {"b", 2}}));
  EXPECT_TRUE(comparison.alike()) << comparison.report();
  EXPECT_EQ(comparison.compared(), 2u);
}

TEST_F(Comparing, DifferentNamesAreAMismatch) {
  compare(list_of({{"rx status", 1}, {"end", 0}}), list_of({{"rx middle status", 1}, {"end", 0}}));
  EXPECT_FALSE(comparison.alike());
  EXPECT_THAT(comparison.report(), HasSubstr("where the model shows rx status, QEMU shows rx middle status"));
}

TEST_F(Comparing, MoreObservationsOfTheModelAreAMismatch) {
  compare(list_of({{"a", 1}, {"b", 2}, {"c", 3}}), list_of({{"a", 1}}));
  EXPECT_THAT(comparison.report(), HasSubstr("only the model shows b (2 more)"));
}

TEST_F(Comparing, MoreObservationsOfQemuAreAMismatch) {
  compare(list_of({{"a", 1}}), list_of({{"a", 1}, {"b", 2}}));
  EXPECT_THAT(comparison.report(), HasSubstr("only QEMU shows b (1 more)"));
}

TEST_F(Comparing, NothingObservedIsAMismatch) {
  compare({}, {});
  EXPECT_THAT(comparison.report(), HasSubstr("nothing was observed"));
}

TEST_F(Comparing, ADifferenceOutsideTheKnownBitsIsAMismatch) {
  compare(list_of({{"rx status 1", 0x31}}), list_of({{"rx status 1", 0}}));
  EXPECT_THAT(comparison.report(), HasSubstr("the model has 0x31, QEMU 0x0"));
}

TEST_F(Comparing, AKnownDifferenceRequiresTheZeroOnTheStatedCard) {
  compare(list_of({{"rx status 1", 0}}), list_of({{"rx status 1", 0x20}}));
  EXPECT_FALSE(comparison.alike());
}

TEST_F(Comparing, AKnownDifferenceAppliesOnlyInItsScope) {
  compare(list_of({{"CTRL", 1}}), list_of({{"CTRL", 0}}));
  EXPECT_FALSE(comparison.alike());
}

TEST_F(Comparing, AKnownDifferenceMatchesWholeWords) {
  compare(list_of({{"PRCX", 1}}), list_of({{"PRCX", 0}}));
  EXPECT_FALSE(comparison.alike());
}

TEST_F(Comparing, AKnownDifferenceIsStaleUntilAllItsBitsWereSeen) {
  EXPECT_THAT(comparison.stale(), HasSubstr("D-ONE"));
  EXPECT_THAT(comparison.stale(), HasSubstr("D-TWO"));
  compare(list_of({{"rx status 1", 0x10}, {"PRC64", 6}}), list_of({{"rx status 1", 0}, {"PRC64", 2}}));
  EXPECT_TRUE(comparison.alike()) << comparison.report();
  EXPECT_EQ(comparison.stale(), "rx status (D-ONE): of the bits 0x30 only 0x10 were seen to differ\n");
  compare(list_of({{"rx status 2", 0x20}}), list_of({{"rx status 2", 0}}));
  EXPECT_EQ(comparison.stale(), "");
}

}  // namespace
}  // namespace pollux::differential
