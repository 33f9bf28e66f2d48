// SPDX-License-Identifier: BSD-3-Clause
// CardTraits describes how cards differ. A driver and a model work together with traits other than the 82576's.
#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <optional>

#include "drivers/intel/igb/port.hpp"
#include "unit/igb/fixture.hpp"

namespace pollux::drivers::igb {
namespace {

/// Like an I210: another PHY, and no alternate MAC address to read. The PHY's address and the NVM word of the checksum
/// are invented. The PHY's identifier is from DPDK e1000, e1000_defines.h.
constexpr reg::CardTraits kOther{.id = 0x1533,
                                 .name = "other card",
                                 .queues = 4,
                                 .exact_addresses = 16,
                                 .phy = {.address = 3, .id = 0x01410C00},
                                 .nvm = {.alternate_mac_pointer = std::nullopt, .checksum = 0x4F}};

std::unique_ptr<PortMachine> open_as(IgbFixture& fixture, const reg::CardTraits& traits) {
  auto driver = Port::open(fixture.context.state(), traits, fixture.device());
  return driver ? std::make_unique<PortMachine>(fixture.context.state(), *std::move(driver)) : nullptr;
}

TEST(CardTraits, ADriverAndAModelOfAnotherRowWorkTogether) {
  IgbFixture fixture({.traits = &kOther});
  auto port = open_as(fixture, kOther);
  ASSERT_NE(port, nullptr);
  EXPECT_EQ(port->info().card, "Intel other card");
  EXPECT_EQ(port->info().limits.max_rx_queues, 4u);
  ASSERT_TRUE(port->configure(fixture.config()));
  ASSERT_TRUE(port->start());
  fixture.clock->advance(std::chrono::seconds(1));
  EXPECT_TRUE(port->link().up);
  EXPECT_FALSE(fixture.has_logged("unknown PHY"));
}

TEST(CardTraits, TheRowOfAnotherCardIsDetected) {
  IgbFixture fixture({.traits = &kOther});
  reg::CardTraits wrong = kOther;
  wrong.nvm = {};
  EXPECT_EQ(open_as(fixture, wrong), nullptr) << "the checksum is in another word";
  wrong = kOther;
  wrong.phy.id = reg::phy::kId;
  auto port = open_as(fixture, wrong);
  ASSERT_NE(port, nullptr);
  ASSERT_TRUE(port->configure(fixture.config()));
  ASSERT_TRUE(port->start());
  EXPECT_TRUE(fixture.has_logged("unknown PHY"));
}

TEST(CardTraits, APhyIsReachedAtItsAddress) {
  IgbFixture fixture({.traits = &kOther});
  reg::CardTraits wrong = kOther;
  wrong.phy = {};
  auto port = open_as(fixture, wrong);
  ASSERT_NE(port, nullptr);
  ASSERT_TRUE(port->configure(fixture.config()));
  const auto started = port->start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, ErrorCode::device_fault);
}

// On this card the NVM words in which an 82576 has an alternate address have another meaning.
TEST(CardTraits, ReadsNoAlternateAddressWhereTheCardHasNone) {
  IgbFixture fixture({.traits = &kOther});
  fixture.with_card([](models::igb::Card& card) {
    auto words = card.nvm().words();
    words[reg::nvm::kAlternateMacPointer] = 0x100;
    words[0x100] = 0x2202;
    words[0x101] = 0x4433;
    words[0x102] = 0x6655;
    words[0x4F] = reg::nvm::checksum_for(words.first(0x4F));
    return 0;
  });
  auto port = open_as(fixture, kOther);
  ASSERT_NE(port, nullptr);
  EXPECT_EQ(port->mac(), (MacAddress{0x02, 0, 0, 0x82, 0x57, 0x60}));
}

}  // namespace
}  // namespace pollux::drivers::igb
