// SPDX-License-Identifier: BSD-3-Clause
// docs/82576/coverage.md names each register that the driver does not use, and no other.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>

#include "hw/intel/igb/registers.hpp"
#include "support/matches.hpp"

namespace pollux::hw::igb {
namespace {

std::string content(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// The registers that sources name, as in reg::CTRL.
std::set<std::string> used() {
  std::set<std::string> names;
  for (const char* folder : {"igb", "gigabit", "common", "queue"}) {
    for (const auto& entry :
         std::filesystem::directory_iterator(std::filesystem::path(POLLUX_DRIVERS_INTEL) / folder)) {
      for (const test::Match& match : test::matches(content(entry.path()), R"((reg|hw::igb|hw::intel)::(\w+))"))
        names.insert(match.groups[2]);
    }
  }
  return names;
}

/// The names in the first column of a section's table.
std::set<std::string> listed() {
  const std::string text = content(POLLUX_82576_COVERAGE);
  const std::size_t start = text.find("## Registers that the driver does not use");
  const std::size_t end = text.find("\n## ", start);
  EXPECT_NE(start, std::string::npos);
  const std::string section = text.substr(start, end - start);
  std::set<std::string> names;
  for (const test::Match& row : test::matches(section, "\n\\| ([A-Z][^|]*) \\|")) {
    for (const test::Match& name : test::matches(row.groups[1], R"(\w+)")) names.insert(name.groups[0]);
  }
  return names;
}

TEST(IgbCoverage, NamesTheRegistersThatTheDriverDoesNotUse) {
  const std::set<std::string> in_driver = used();
  EXPECT_GT(in_driver.size(), 60u);
  const std::set<std::string> in_page = listed();
  std::set<std::string> known;
  for (const RegisterInfo& info : kRegisters) {
    const std::string name(info.name);
    known.insert(name);
    if (info.group == "statistics") continue;  // read as a table
    EXPECT_NE(in_driver.contains(name), in_page.contains(name))
        << name << (in_page.contains(name) ? " is used, but the page says that it is not" : " is not used: say why");
  }
  for (const std::string& name : in_page) EXPECT_TRUE(known.contains(name)) << name << " is not declared";
}

}  // namespace
}  // namespace pollux::hw::igb
