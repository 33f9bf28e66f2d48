// SPDX-License-Identifier: BSD-3-Clause
// Looks for declarations in the headers that are missing from the register lists, and for counts in the documentation
// that are out of date.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "hw/intel/igb/registers.hpp"
#include "support/matches.hpp"

namespace pollux::hw::igb {
namespace {

std::string slurp(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string declarations() {
  std::string all;
  const std::filesystem::path card(POLLUX_HW_IGB_DIR);
  for (const auto& folder : {card, card.parent_path(), card.parent_path() / "gigabit"}) {
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      if (entry.path().filename().string().starts_with("registers_")) all += slurp(entry.path());
    }
  }
  return all;
}

std::vector<RegisterInfo> all_registers() {
  std::vector<RegisterInfo> all(kRegisters.begin(), kRegisters.end());
  all.insert(all.end(), kLaterRegisters.begin(), kLaterRegisters.end());
  return all;
}

TEST(IgbSources, EveryDeclaredRegisterIsInTheTable) {
  const std::string text = declarations();
  std::set<std::string> declared;
  for (const auto& [position, match] :
       test::matches(text, R"(struct (\w+) : (Register|Causes|ExtendedCauses)<(\w+),)")) {
    if (match[1] == "Causes" || match[1] == "ExtendedCauses") continue;
    EXPECT_EQ(match[1], match[3]) << "a register names another as itself";
    declared.insert(match[1]);
  }
  std::set<std::string> listed;
  for (const RegisterInfo& info : all_registers()) listed.emplace(info.name);
  EXPECT_GT(declared.size(), 200u);
  EXPECT_EQ(declared, listed);
}

TEST(IgbSources, EveryDeclaredFieldIsInItsRegistersList) {
  const std::string text = declarations();
  std::map<std::string, std::set<std::string>> declared;
  std::string current;
  for (const auto& [position, match] : test::matches(text, R"(struct (\w+) :|static constexpr (Bit|Field) ([^;]*);)")) {
    if (!match[1].empty()) current = match[1];
    for (const test::Match& name : test::matches(match[3], R"((\w+)\{)")) declared[current].insert(name.groups[1]);
  }
  EXPECT_GT(declared.size(), 60u);
  std::map<std::string, std::set<std::string>> listed;
  for (const RegisterInfo& info : all_registers()) {
    const std::string register_name(info.name);
    for (const FieldInfo& field : info.fields) listed[register_name].emplace(field.name);
  }
  for (const auto& [register_name, names] : declared) {
    if (register_name == "Causes") {
      EXPECT_EQ(listed["ICR"], names);
    } else if (register_name == "ExtendedCauses") {
      EXPECT_EQ(listed["EICR"], names);
    } else {
      EXPECT_EQ(listed[register_name], names) << register_name;
    }
  }
}

TEST(IgbSources, CoverageHasTheCountsOfTheTable) {
  std::map<std::string, std::pair<std::uint32_t, std::uint32_t>> counted;
  for (const RegisterInfo& info : all_registers()) {
    auto& [registers, places] = counted[std::string(info.group)];
    registers += 1;
    places += info.stride.count;
  }
  const std::string text = slurp(POLLUX_82576_COVERAGE);
  for (const auto& [group, counts] : counted) {
    const std::string row = "\\| " + group + " \\| registers_[a-z]+\\.hpp \\| " + std::to_string(counts.first) +
                            " \\| " + std::to_string(counts.second) + " \\|";
    EXPECT_TRUE(!test::matches(text, row).empty()) << "docs/82576/coverage.md lacks: " << row;
  }
}

}  // namespace
}  // namespace pollux::hw::igb
