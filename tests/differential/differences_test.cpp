// SPDX-License-Identifier: BSD-3-Clause
#include "differential/differences.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <regex>
#include <set>
#include <string>

namespace pollux::differential {
namespace {

TEST(Differences, HaveTheSameTagsAsTheDocument) {
  std::set<std::string> used;
  for (const Difference& difference : known_differences()) used.insert(difference.tag);
  std::set<std::string> explained;
  std::ifstream document(POLLUX_DIFFERENCES);
  const std::regex row("^\\| (D-[A-Z]+) \\|");
  for (std::string line; std::getline(document, line);) {
    if (std::smatch found; std::regex_search(line, found, row)) explained.insert(found[1]);
  }
  EXPECT_EQ(used, explained);
}

}  // namespace
}  // namespace pollux::differential
