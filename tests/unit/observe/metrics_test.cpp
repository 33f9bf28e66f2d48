// SPDX-License-Identifier: BSD-3-Clause
#include "metrics.hpp"

#include <gtest/gtest.h>

#include <new>
#include <string>
#include <vector>

#include "fake_program.hpp"

namespace pollux::tool {
namespace {

TEST(ProgramMetrics, WithoutMemoryThereAreNone) {
  const ProgramMetrics metrics([]() -> std::vector<std::string> { throw std::bad_alloc(); });
  EXPECT_TRUE(metrics.Collect().empty());
}

/// A program with so many pools, each of which has four samples, and with as many more sockets.
struct Pools {
  std::size_t count;
  std::size_t name_bytes;
  int links;
};

/// The numbers of samples of such programs in one directory, of one more in another, and the bytes of their labels.
struct Collected {
  std::size_t greedy = 0;
  std::size_t other = 0;
  std::size_t text = 0;
};

Collected collect(const Pools& pools) {
  const std::string pool = R"({"count":1,"in_use":1,"allocation_failures":1,"unnamed_drops":1,"name":")" +
                           std::string(pools.name_bytes, 'x') + "\"}";
  std::string all = pool;
  for (std::size_t i = 1; i < pools.count; ++i) all += "," + pool;
  const FakeProgram greedy(answering({{"pools", R"("result":[)" + all + "]"}, {"ports", R"("result":[])"}}));
  greedy.link_socket(pools.links);
  const FakeProgram other(
      answering({{"pools", R"("result":[{"count":1,"name":"other"}])"}, {"ports", R"("result":[])"}}));
  const ProgramMetrics metrics([&] { return std::vector{greedy.directory(), other.directory()}; });
  Collected collected;
  for (const auto& family : metrics.Collect()) {
    for (const auto& sample : family.metric) {
      bool is_of_other = false;
      for (const auto& label : sample.label) {
        is_of_other = is_of_other || label.value == "other";
        collected.text += label.value.size();
      }
      if (family.name.starts_with("pollux_pool")) ++(is_of_other ? collected.other : collected.greedy);
    }
  }
  return collected;
}

TEST(ProgramMetrics, ManySamplesOfProgramsLeaveRoomForOtherDirectories) {
  const Collected collected = collect({.count = 2200, .name_bytes = 0, .links = 9});
  EXPECT_LE(collected.greedy, 25'000U);
  EXPECT_GE(collected.greedy, 20'000U);
  EXPECT_EQ(collected.other, 1U);
}

TEST(ProgramMetrics, LongLabelsOfProgramsLeaveRoomForOtherDirectories) {
  const Collected collected = collect({.count = 450, .name_bytes = 1000, .links = 9});
  EXPECT_LE(collected.text, 5U << 20);
  EXPECT_GE(collected.text, 4U << 20);
  EXPECT_EQ(collected.other, 1U);
}

}  // namespace
}  // namespace pollux::tool
