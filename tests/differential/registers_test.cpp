// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "differential/fixture.hpp"
#include "differential/observation.hpp"
#include "differential/seed.hpp"

namespace pollux::differential {
namespace {

/// One register, or one element of a register array.
struct RegisterWord {
  std::string name;  ///< "RETA 3"
  const RegisterInfo* info;
  std::uint32_t offset;
};

std::vector<RegisterWord> all_register_words() {
  std::vector<RegisterWord> words;
  for (const RegisterInfo& info : reg::kRegisters) {
    for (std::uint32_t i = 0; i < reg::count_of(info, reg::kCards.front()); ++i) {
      words.push_back({fmt::format("{} {}", info.name, i), &info, info.at(i)});
    }
  }
  return words;
}

/// True for a register whose write has side effects. Other tests cover these registers.
bool acts_when_written(std::string_view name) {
  constexpr std::array<std::string_view, 40> kActing{
      "CTRL",    "CTRL_EXT",   "MDIC",       "EERD",       "EECD",   "ICS",   "IMS",        "IMC",
      "EICS",    "EIMS",       "EIMC",       "EIAC",       "EIAM",   "IAM",   "GPIE",       "RCTL",
      "TCTL",    "RDT",        "TDT",        "RXDCTL",     "TXDCTL", "RDH",   "TDH",        "SWSM",
      "FWSM",    "SW_FW_SYNC", "TSYNCRXCTL", "TSYNCTXCTL", "EITR",   "VMOLR", "P2VMAILBOX", "V2PMAILBOX",
      "MBVFICR", "MBVFIMR",    "TCPTIMER",   "FRTIMER",    "I2CCMD", "EEWR",  "SYSTIML",    "SYSTIMH"};
  return std::find(kActing.begin(), kActing.end(), name) != kActing.end();
}

void expect_alike(Scope scope, const std::array<Observations, 2>& seen, const std::string& where) {
  Comparison comparison(scope);
  comparison.add(seen[0], seen[1], where);
  EXPECT_TRUE(comparison.alike()) << comparison.report();
  EXPECT_EQ(comparison.stale(), "");
}

/// Values that set and clear every bit at least once.
std::array<std::uint32_t, 4> values_to_write(Random& random) { return {~0U, random.word(), 0, random.word()}; }

struct Registers : testing::Test {
  void SetUp() override {
    model->reset();
    qemu->reset();
  }
  std::unique_ptr<Fixture> model = Fixture::of_model();
  std::unique_ptr<Fixture> qemu = Fixture::of_qemu();
};

TEST_F(Registers, HaveTheSameValuesAfterAReset) {
  std::array<Observations, 2> seen;
  for (unsigned i = 0; i < 2; ++i) {
    Fixture& fixture = i == 0 ? *model : *qemu;
    for (const RegisterWord& word : all_register_words()) {
      if (word.info->access == Access::wo) continue;
      seen[i].add(word.name, fixture.read(1, word.offset));
    }
  }
  expect_alike(Scope::reset, seen, "after a reset");
}

TEST_F(Registers, KeepTheSameWrittenBits) {
  const std::uint64_t seed = choose_seed();
  Random random(seed);
  std::vector<RegisterWord> words = all_register_words();
  std::erase_if(words, [](const RegisterWord& word) {
    return word.info->access != Access::rw || acts_when_written(word.info->name);
  });
  std::array<Observations, 2> seen;
  for (std::size_t end = words.size(); end > 1; --end) {  // the result of std::shuffle depends on the library
    std::swap(words[end - 1], words[random.below(static_cast<std::uint32_t>(end))]);
  }
  for (const RegisterWord& word : words) {
    for (const std::uint32_t value : values_to_write(random)) {
      for (unsigned i = 0; i < 2; ++i) {
        Fixture& fixture = i == 0 ? *model : *qemu;
        fixture.write(1, word.offset, value);
        seen[i].add(word.name, fixture.read(1, word.offset));
      }
    }
  }
  expect_alike(Scope::written, seen, fmt::format("POLLUX_SEED={}", seed));
}

TEST_F(Registers, ChangeWhenTheirAliasIsWritten) {
  const std::uint64_t seed = choose_seed();
  Random random(seed);
  std::array<Observations, 2> seen;
  for (const RegisterInfo& info : reg::kRegisters) {
    if (info.access != Access::rw || acts_when_written(info.name)) continue;
    for (std::uint32_t index = 0; index < info.alias.count; ++index) {
      const std::uint32_t other = info.alias.offset + index * info.alias.bytes;
      for (const std::uint32_t value : values_to_write(random)) {
        for (unsigned i = 0; i < 2; ++i) {
          Fixture& fixture = i == 0 ? *model : *qemu;
          fixture.write(1, other, value);
          seen[i].add(fmt::format("{} {}", info.name, index), fixture.read(1, info.at(index)));
        }
      }
    }
  }
  expect_alike(Scope::alias, seen, fmt::format("POLLUX_SEED={}", seed));
}

}  // namespace
}  // namespace pollux::differential
