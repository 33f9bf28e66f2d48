// SPDX-License-Identifier: BSD-3-Clause
// A card that is removed, hangs or answers wrongly while it is opened gives a named error.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "hw/intel/igb/nvm.hpp"
#include "unit/igb/fixture.hpp"

namespace pollux::drivers::igb {
namespace {

using testing::HasSubstr;

/// The error of opening a card.
Error open_error(IgbFixture& fixture) {
  auto port = probe(fixture.context, fixture.device());
  EXPECT_FALSE(port);
  return port ? Error{} : port.error();
}

TEST(OpenFails, WhenTheCardWasRemoved) {
  IgbFixture fixture;
  fixture.faults->removed = true;
  const Error error = open_error(fixture);
  EXPECT_EQ(error.code, ErrorCode::device_removed);
  EXPECT_THAT(error.what, HasSubstr("sim:0"));
  EXPECT_TRUE(fixture.faults->destroyed);
}

TEST(OpenFails, WhenTheWindowIsTooSmall) {
  IgbFixture fixture;
  fixture.faults->bar_size = 4096;
  EXPECT_EQ(open_error(fixture).code, ErrorCode::device_fault);
}

TEST(OpenFails, WhenResetDoesNotEnd) {
  IgbFixture fixture;
  fixture.faults->on_read = answer(reg::CTRL::offset(), 1u << 26);
  const Error error = open_error(fixture);
  EXPECT_EQ(error.code, ErrorCode::timeout);
  EXPECT_THAT(error.what, HasSubstr("CTRL.RST"));
}

TEST(OpenFails, WhenTheNvmIsDamaged) {
  IgbFixture fixture;
  fixture.with_card([](models::igb::Card& card) { return card.nvm().words()[5] ^= 0x10; });
  const Error error = open_error(fixture);
  EXPECT_EQ(error.code, ErrorCode::device_fault);
  EXPECT_THAT(error.what, HasSubstr("0xbaba"));
}

TEST(OpenFails, WhenTheNvmDoesNotAnswer) {
  IgbFixture fixture;
  fixture.faults->on_read = answer(reg::EERD::offset(), 0);
  const Error error = open_error(fixture);
  EXPECT_EQ(error.code, ErrorCode::timeout);
  EXPECT_THAT(error.what, HasSubstr("EERD.DONE"));
}

TEST(OpenFails, OnAPortThatIsNotCopper) {
  IgbFixture serdes({.device_id = 0x10E7});
  EXPECT_EQ(open_error(serdes).code, ErrorCode::not_supported);
  for (const auto& [mode, medium] :
       {std::pair{1u, "1000BASE-KX"}, {2u, "SGMII with a pluggable module"}, {3u, "SerDes"}}) {
    IgbFixture other;
    other.faults->on_read = answer(reg::CTRL_EXT::offset(), mode << 22);
    const Error error = open_error(other);
    EXPECT_EQ(error.code, ErrorCode::not_supported);
    EXPECT_NE(error.what.find(medium), std::string::npos) << error.what;
    EXPECT_NE(error.hint.find("copper"), std::string::npos);
  }
  IgbFixture external;
  external.faults->on_read = [](std::uint32_t offset) -> std::optional<std::uint32_t> {
    if (offset == reg::CTRL_EXT::offset()) return 2u << 22;
    return offset == reg::MDIC::offset() ? std::optional(1u << 31) : std::nullopt;
  };
  EXPECT_NE(open_error(external).what.find("SGMII with an external PHY"), std::string::npos);
}

TEST(OpenFails, WhenTheDeviceCannotBeReset) {
  IgbFixture fixture;
  fixture.faults->reset_error = Error{ErrorCode::io_error, "no", ""};
  EXPECT_EQ(open_error(fixture).code, ErrorCode::io_error);
}

TEST(Open, NeedsNoResetOfTheDevice) {
  IgbFixture fixture;
  fixture.faults->reset_error = Error{ErrorCode::not_supported, "no", ""};
  EXPECT_NE(fixture.open(), nullptr);
}

TEST(Open, TakesASemaphoreOverFromADeadHolder) {
  IgbFixture fixture;
  fixture.faults->on_read = [&fixture, done = false](std::uint32_t offset) mutable -> std::optional<std::uint32_t> {
    if (offset == reg::EECD::offset() && !done) {  // after the card's reset
      done = true;
      fixture.with_card([&](models::igb::Card& card) {
        card.package().leave(1, reg::SWSM::SMBI, reg::SW_FW_SYNC::SW_EEP, fixture.clock->now());
        return 0;
      });
    }
    return std::nullopt;
  };
  EXPECT_NE(fixture.open(), nullptr);
  EXPECT_TRUE(fixture.has_logged("SWSM.SMBI"));
  fixture.with_card([](models::igb::Card& card) {
    EXPECT_EQ(card.package().sync().raw(), 0u);
    EXPECT_EQ(card.read32(reg::kRegisterBar, reg::SWSM::offset()), 0u);
    EXPECT_EQ(card.package().violations().total(), 0u);
    return 0;
  });
}

TEST(OpenFails, WhileFirmwareKeepsTheNvm) {
  IgbFixture fixture;
  fixture.faults->on_read = answer(reg::SW_FW_SYNC::offset(), 1u << 16);
  const Error error = open_error(fixture);
  EXPECT_EQ(error.code, ErrorCode::timeout);
  EXPECT_THAT(error.what, HasSubstr("SW_FW_SYNC"));
}

TEST(Open, ReadsTheAddressThatTheCardLoaded) {
  IgbFixture fixture({.mac = {0x02, 0x12, 0x34, 0x56, 0x78, 0x9A}});
  auto port = fixture.open();
  ASSERT_NE(port, nullptr);
  EXPECT_EQ(port->mac(), (MacAddress{0x02, 0x12, 0x34, 0x56, 0x78, 0x9A}));
}

TEST(Open, GeneratesARandomAddressIfTheCardHasNone) {
  IgbFixture fixture({.mac = {0, 0, 0, 0, 0, 0}});
  auto port = fixture.open();
  ASSERT_NE(port, nullptr);
  EXPECT_EQ(port->mac()[0] & 3, 2) << "unicast and locally administered";
  EXPECT_TRUE(fixture.has_logged(to_string(port->mac())));
}

TEST(Open, PrefersTheAlternateAddress) {
  IgbFixture fixture({.lan_id = 1});
  fixture.with_card([](models::igb::Card& card) {
    auto words = card.nvm().words();
    words[hw::igb::nvm::kAlternateMacPointer] = 0x100;
    words[0x103] = 0x2202;
    words[0x104] = 0x4433;
    words[0x105] = 0x6655;
    const std::span<const std::uint16_t, 63> summed(words.data(), 63);
    words[hw::igb::nvm::kChecksum] = hw::igb::nvm::checksum_for(summed);
    return 0;
  });
  auto port = fixture.open();
  ASSERT_NE(port, nullptr);
  EXPECT_EQ(port->mac(), (MacAddress{0x02, 0x22, 0x33, 0x44, 0x55, 0x66}));
}

}  // namespace
}  // namespace pollux::drivers::igb
