// SPDX-License-Identifier: BSD-3-Clause
#include "differential/differences.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <string>

#include "support/matches.hpp"

namespace pollux::differential {
namespace {

TEST(Differences, HaveTheSameTagsAsTheDocument) {
  std::set<std::string> used;
  for (const Difference& difference : known_differences()) used.insert(difference.tag);
  std::set<std::string> explained;
  std::ifstream document(POLLUX_DIFFERENCES);
  for (std::string line; std::getline(document, line);) {
    for (const test::Match& row : test::matches(line, R"(^\| (D-[A-Z]+) \|)")) explained.insert(row.groups[1]);
  }
  EXPECT_EQ(used, explained);
}

}  // namespace
}  // namespace pollux::differential
