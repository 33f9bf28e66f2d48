// SPDX-License-Identifier: BSD-3-Clause
// E-PLL: a card without a flash whose PLL is not configured after power-on.
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "unit/igb/fixture.hpp"

namespace pollux::drivers::igb {
namespace {

struct SlowClock : testing::Test {
  void SetUp() override {
    fixture.with_card([](models::igb::Card& card) {
      card.set_pll(reg::phy::kPllUnset);
      return 0;
    });
  }
  IgbFixture fixture{{.device_id = 0x157B}};
};

TEST_F(SlowClock, IsRepairedByADetourOverD3) {
  std::vector<std::uint32_t> loaded;
  fixture.with_card([&](models::igb::Card& card) {
    card.nvm().words()[0x0A] = 0x2120;
    card.registers().on_write<reg::EEARBC_I210>([&](std::uint32_t, std::uint32_t value) {
      loaded.push_back(value);
      card.registers().set<reg::EEARBC_I210>(reg::EEARBC_I210::Value(value));
    });
    return 0;
  });
  auto port = fixture.started();
  ASSERT_NE(port, nullptr);
  EXPECT_TRUE(port->link().up);
  EXPECT_TRUE(fixture.has_logged("PLL"));
  EXPECT_EQ(loaded, (std::vector<std::uint32_t>{0x2130'00A0, 0x2120'00A0})) << "the word of the iNVM";
}

TEST_F(SlowClock, IsAnErrorIfTheRepairDoesNotHelp) {
  unsigned repairs = 0;
  fixture.with_card([&](models::igb::Card& card) {
    card.registers().on_write<reg::EEARBC_I210>([&](std::uint32_t, std::uint32_t value) {
      if (value == 0x203F'00A0U) ++repairs;
    });
    return 0;
  });
  const auto port = probe(fixture.context, fixture.device());
  ASSERT_FALSE(port);
  EXPECT_EQ(port.error().code, ErrorCode::device_fault);
  EXPECT_NE(port.error().message().find("PLL"), std::string::npos) << port.error().message();
  EXPECT_EQ(repairs, 5U);
}

}  // namespace
}  // namespace pollux::drivers::igb
