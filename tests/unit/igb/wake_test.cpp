// SPDX-License-Identifier: BSD-3-Clause
// The capability WakeOnLan: what the card wakes for after its port was closed.
#include <gtest/gtest.h>

#include <cstring>

#include "hw/intel/igb/nvm.hpp"
#include "pollux/net/wake_on_lan.hpp"
#include "unit/igb/fixture.hpp"

namespace pollux::drivers::igb {
namespace {

constexpr WakeEvents kAll{true, true, true, true, true};

std::vector<std::byte> frame_to(const MacAddress& mac) {
  std::vector<std::byte> frame = broadcast(120);
  std::memcpy(frame.data(), mac.data(), mac.size());
  return frame;
}

std::vector<std::byte> magic_packet(const MacAddress& mac) {
  std::vector<std::byte> frame = broadcast(160);
  std::memset(frame.data() + 20, 0xFF, 6);
  for (std::size_t i = 1; i <= 16; ++i) std::memcpy(frame.data() + 20 + 6 * i, mac.data(), mac.size());
  return frame;
}

/// Closes a port that is to wake for `events`, with its card's link up.
struct SleepingCard : IgbFixture {
  explicit SleepingCard(const WakeEvents& events) {
    auto port = started();
    mac = port->mac();
    EXPECT_TRUE(port->change([&](Settings& settings) { settings.wake = events; }));
    EXPECT_TRUE(port->stop());
    EXPECT_TRUE(port->close());
    clock->advance(std::chrono::seconds(1));
  }
  /// The wire of a closed port delivers no frames.
  void receive(const std::vector<std::byte>& frame) {
    with_card([&frame](models::igb::Card& card) {
      card.receive(frame);
      return 0;
    });
  }
  /// Whether the card asks for power after the frame. Clears the request.
  [[nodiscard]] bool wakes_for(const std::vector<std::byte>& frame) {
    receive(frame);
    const bool requested = value<reg::WUC>().has(reg::WUC::PME_STATUS);
    EXPECT_EQ(requested, value<reg::WUS>().raw() != 0);
    with_card([](models::igb::Card& card) {
      card.registers().set<reg::WUC>(card.registers().get<reg::WUC>().without(reg::WUC::PME_STATUS));
      card.registers().set<reg::WUS>({});
      return 0;
    });
    return requested;
  }
  MacAddress mac{};
};

TEST(PortWake, EachEventWakesAlone) {
  const MacAddress group{0x01, 0x00, 0x5E, 1, 2, 3};
  const MacAddress other{0x02, 9, 9, 9, 9, 9};
  const auto outcomes = [&](const WakeEvents& events) {
    SleepingCard card(events);
    std::string text;
    for (const auto& frame : {magic_packet(card.mac), frame_to(card.mac), frame_to(group), broadcast(60)}) {
      text += card.wakes_for(frame) ? 'w' : '-';
    }
    EXPECT_FALSE(card.wakes_for(frame_to(other)));
    EXPECT_FALSE(card.wakes_for(magic_packet(other)) && !events.broadcast);
    return text;
  };
  EXPECT_EQ(outcomes({.magic = true}), "w---");
  EXPECT_EQ(outcomes({.unicast = true}), "-w--");
  EXPECT_EQ(outcomes({.multicast = true}), "--w-");
  EXPECT_EQ(outcomes({.broadcast = true}), "w--w") << "the magic packet is a broadcast";
  EXPECT_EQ(outcomes({}), "----") << "off by default";
}

TEST(PortWake, TheFrameIsKept) {
  SleepingCard card({.magic = true});
  card.receive(magic_packet(card.mac));
  EXPECT_EQ(card.value<reg::WUPL>().raw(), 164u);
  EXPECT_EQ(card.value<reg::WUPM>(0).raw(), 0xFFFFFFFFu);
}

TEST(PortWake, TheLinkWakesIfItWasDown) {
  IgbFixture fixture;
  fixture.wire->set_carrier(false);
  auto port = fixture.open();
  ASSERT_TRUE(port->change([&](Settings& settings) { settings.wake = {.link_change = true}; }));
  ASSERT_TRUE(port->close());
  EXPECT_TRUE(fixture.value<reg::WUFC>().has(reg::WUFC::LNKC));
  fixture.clock->advance(std::chrono::seconds(1));
  EXPECT_FALSE(fixture.value<reg::WUC>().has(reg::WUC::PME_STATUS));
  fixture.wire->set_carrier(true);
  fixture.clock->advance(std::chrono::seconds(1));
  EXPECT_TRUE(fixture.value<reg::WUC>().has(reg::WUC::PME_STATUS));
  SleepingCard up({.link_change = true});
  EXPECT_EQ(up.value<reg::WUC>().raw(), 0u) << "a link that is up is no event";
}

TEST(PortWake, TheNextOpenDisarms) {
  SleepingCard card(kAll);
  EXPECT_TRUE(card.value<reg::WUC>().has(reg::WUC::PME_EN));
  auto port = card.open();
  EXPECT_EQ(card.value<reg::WUC>().raw(), 0u);
  EXPECT_FALSE(port->settings().wake.any());
}

TEST(PortWake, TheSecondPortWakesIfItsNvmSaysSo) {
  for (const bool may : {false, true}) {
    IgbFixture fixture(models::igb::CardOptions{.lan_id = 1});
    auto port = fixture.open();
    fixture.with_card([may](models::igb::Card& card) {
      return card.nvm().words()[hw::igb::nvm::kInitControl3Port1] = may ? hw::igb::nvm::kMayWake : std::uint16_t{0};
    });
    auto& wake = *port->capability<WakeOnLan>();
    EXPECT_EQ(wake.wake_support(), may ? kAll : WakeEvents{});
    const auto set = port->change([](Settings& settings) { settings.wake = {.magic = true}; });
    EXPECT_EQ(set.has_value(), may);
    if (!may) {
      EXPECT_EQ(set.error().code, ErrorCode::not_supported);
    }
    EXPECT_EQ(port->settings().wake.magic, may);
    EXPECT_TRUE(port->change([](Settings& settings) { settings.wake = {}; })) << "off is always allowed";
  }
}

}  // namespace
}  // namespace pollux::drivers::igb
