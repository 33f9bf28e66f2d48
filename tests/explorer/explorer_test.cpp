// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <ostream>

#include "explorer/explore.hpp"

namespace pollux::test {
namespace {

struct Case {
  const char* name;
  Scenario scenario;
  std::uint64_t max_states;
  bool exhausts_pool = false;  ///< some frames must have been dropped because the pool was exhausted
  bool partial = false;        ///< the states need not be all
};
void PrintTo(const Case& what, std::ostream* to) { *to << what.name; }

std::string name_of(const testing::TestParamInfo<Case>& info) { return info.param.name; }

/// The limit for checked and sanitized builds, which take ten times as long per state.
constexpr std::uint64_t kMaxStatesWhenChecked = 120'000;

void explore_and_expect(const Case& what, bool all) {
  const std::uint64_t max_states =
      POLLUX_CHECKED != 0 && !all ? std::min(what.max_states, kMaxStatesWhenChecked) : what.max_states;
  const Explored explored = explore(what.scenario, max_states);
  fmt::print("{}: {} states, {} transitions, {} steps deep, {} wraps{}\n", what.name, explored.states,
             explored.transitions, explored.depth, explored.wraps,
             explored.complete ? ", which are all" : " (and there are more)");
  ASSERT_TRUE(explored.violation.empty()) << explored.violation;
  if (!all && POLLUX_CHECKED != 0) return;
  EXPECT_TRUE(!what.exhausts_pool || explored.max_pool_empty > 0) << "the pool was never exhausted";
  if (what.partial) return;
  EXPECT_TRUE(explored.complete) << "there are more states than were visited";
  EXPECT_GE(explored.wraps, kWraps);
}

class Explorer : public testing::TestWithParam<Case> {};
TEST_P(Explorer, NoInterleavingBreaksAnInvariant) { explore_and_expect(GetParam(), false); }

// Small enough for every build.
class ExplorerSmall : public testing::TestWithParam<Case> {};
TEST_P(ExplorerSmall, NoInterleavingBreaksAnInvariant) { explore_and_expect(GetParam(), true); }

// These take minutes each and need not be complete.
class ExplorerLong : public testing::TestWithParam<Case> {};
TEST_P(ExplorerLong, NoInterleavingBreaksAnInvariant) {
  const Explored explored = explore(GetParam().scenario, GetParam().max_states);
  fmt::print("{}: {} states, {} transitions, {} steps deep, {} wraps\n", GetParam().name, explored.states,
             explored.transitions, explored.depth, explored.wraps);
  ASSERT_TRUE(explored.violation.empty()) << explored.violation;
}

TEST(ExplorerItself, ShowsTheShortestPathToAnErrorStepByStep) {
  const Explored explored = explore({.tx = false, .one_store = true, .forgetful = true}, 60'000);
  EXPECT_FALSE(explored.complete);
  EXPECT_NE(explored.violation.find("is lost\n     start: rx: next 0 RDH 0 RDT 7"), std::string::npos)
      << explored.violation;
  EXPECT_NE(explored.violation.find("   5 application: drops the oldest frame: "), std::string::npos)
      << explored.violation;
}

INSTANTIATE_TEST_SUITE_P(
    , ExplorerSmall,
    testing::Values(Case{"Receive", {.tx = false, .spare = 1, .one_store = true}, 60'000},
                    Case{"ReceivePosted", {.tx = false, .remote = true, .spare = 1, .one_store = true}, 60'000},
                    Case{
                        "ReceiveOneByOne", {.tx = false, .spare = 1, .one_store = true, .single_bursts = true}, 60'000},
                    Case{"Transmit", {.rx = false, .spare = 3}, 200'000},
                    Case{"TransmitPosted", {.rx = false, .remote = true, .spare = 2}, 60'000}),
    name_of);

INSTANTIATE_TEST_SUITE_P(
    , Explorer,
    testing::Values(
        Case{"ReceiveInSeveralStores", {.tx = false, .spare = 2, .chains = false}, 3'000'000},
        Case{"ReceiveInSeveralStoresPosted", {.tx = false, .remote = true, .spare = 1, .chains = false}, 3'000'000},
        Case{"ReceiveAllKindsAndHold",
             {.tx = false, .spare = 3, .hold = 1, .bad_frames = true, .one_store = true},
             3'000'000},
        Case{"TransmitUntilTheRingIsFull", {.rx = false, .spare = 9}, 3'000'000},
        Case{"TransmitAllKinds", {.rx = false, .spare = 5, .bad_frames = true}, 3'000'000},
        Case{"TransmitAllKindsPosted", {.rx = false, .remote = true, .spare = 4, .bad_frames = true}, 3'000'000},
        Case{"TransmitRequests",
             {.rx = false, .spare = 2, .chains = false, .requests = true, .single_bursts = true},
             1'000'000,
             false,
             true},
        Case{"TransmitRequestsAndChains", {.rx = false, .spare = 5, .requests = true}, 400'000, false, true},
        Case{"ForwardFromAnExhaustedPool", {.spare = 1, .one_store = true}, 3'000'000, true},
        Case{"Forward", {.spare = 2, .chains = false, .one_store = true}, 3'000'000}),
    name_of);

INSTANTIATE_TEST_SUITE_P(, ExplorerLong,
                         testing::Values(Case{"ReceiveAllKindsInSeveralStores",
                                              {.tx = false, .spare = 3, .hold = 1, .prefetch = 2, .bad_frames = true},
                                              POLLUX_CHECKED != 0 ? 1'000'000 : 20'000'000},
                                         Case{"TransmitAllKindsFromALargePool",
                                              {.rx = false, .spare = 12, .prefetch = 2, .bad_frames = true},
                                              POLLUX_CHECKED != 0 ? 1'000'000 : 20'000'000},
                                         Case{"TransmitRequestsOfAllKinds",
                                              {.rx = false, .spare = 5, .requests = true},
                                              POLLUX_CHECKED != 0 ? 1'000'000 : 20'000'000},
                                         Case{"ForwardAllKinds",
                                              {.spare = 3, .hold = 1, .one_store = true},
                                              POLLUX_CHECKED != 0 ? 1'000'000 : 20'000'000}),
                         name_of);

}  // namespace
}  // namespace pollux::test
