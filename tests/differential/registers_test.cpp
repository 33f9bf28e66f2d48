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

/// One word of the register window.
struct Place {
  std::string name;  ///< "RETA 3"
  const RegisterInfo* info;
  std::uint32_t offset;
};

std::vector<Place> every_place() {
  std::vector<Place> places;
  for (const RegisterInfo& info : reg::kRegisters) {
    for (std::uint32_t i = 0; i < info.stride.count; ++i) {
      places.push_back({fmt::format("{} {}", info.name, i), &info, info.at(i)});
    }
  }
  return places;
}

/// What does something besides keeping bits when it is written: it has tests of its own.
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

/// Every bit in both states, so that no difference can hide.
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
    for (const Place& place : every_place()) {
      if (place.info->access == Access::wo) continue;
      seen[i].add(place.name, fixture.read(1, place.offset));
    }
  }
  expect_alike(Scope::reset, seen, "after a reset");
}

TEST_F(Registers, KeepTheSameBitsOfWhatIsWritten) {
  const std::uint64_t seed = choose_seed();
  Random random(seed);
  std::vector<Place> places = every_place();
  std::erase_if(places, [](const Place& place) {
    return place.info->access != Access::rw || acts_when_written(place.info->name);
  });
  std::array<Observations, 2> seen;
  for (std::size_t end = places.size(); end > 1; --end) {  // std::shuffle does not do the same everywhere
    std::swap(places[end - 1], places[random.below(static_cast<std::uint32_t>(end))]);
  }
  for (const Place& place : places) {
    for (const std::uint32_t value : values_to_write(random)) {
      for (unsigned i = 0; i < 2; ++i) {
        Fixture& fixture = i == 0 ? *model : *qemu;
        fixture.write(1, place.offset, value);
        seen[i].add(place.name, fixture.read(1, place.offset));
      }
    }
  }
  expect_alike(Scope::written, seen, fmt::format("POLLUX_SEED={}", seed));
}

TEST_F(Registers, AnswerAtTheirOtherPlaces) {
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
  expect_alike(Scope::other_place, seen, fmt::format("POLLUX_SEED={}", seed));
}

}  // namespace
}  // namespace pollux::differential
