// SPDX-License-Identifier: BSD-3-Clause
// What the driver of the physical function writes to the card for virtual functions.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "hw/intel/igbvf/registers.hpp"
#include "pollux/net/frame_stamps.hpp"
#include "pollux/net/virtual_functions.hpp"
#include "support/settings_edits.hpp"
#include "unit/igb/physical_function.hpp"

namespace pollux::test {
namespace {

namespace card_reg = hw::igb;
namespace vf = hw::igbvf;

class FunctionSettings : public PhysicalFunction {
 protected:
  /// Notes the rate limits that the driver writes from now on.
  void note_rates() {
    fixture.card.with([this](models::igb::Card& card) {
      card.registers().on_write<card_reg::RTTDQSEL>([this](std::uint32_t, std::uint32_t queue) { selected = queue; });
      card.registers().on_write<card_reg::RTTBCNRC>(
          [this](std::uint32_t, std::uint32_t value) { rates[selected] = card_reg::RTTBCNRC::Value(value); });
      return 0;
    });
  }
  /// The link's speed, 1000 Mb/s, divided by the queue's limit; 0 without a limit.
  [[nodiscard]] std::uint32_t factor(std::uint32_t queue) {
    const auto rate = rates[queue];
    return rate.has(card_reg::RTTBCNRC::RS_ENA) ? rate.get(card_reg::RTTBCNRC::RF_INT) : 0;
  }
  void enable_second_queue(bool on) {
    fixture.card.with([on](models::igb::Card& card) {
      card.registers().set<card_reg::TXDCTL>(
          kSecondQueue, on ? card_reg::TXDCTL::Value(card_reg::TXDCTL::ENABLE) : card_reg::TXDCTL::Value());
      return 0;
    });
    ASSERT_TRUE(fixture.port.service());
  }
  [[nodiscard]] bool joins(std::uint16_t vlan) {
    return (send({vf::first_word(vf::Message::set_vlan, 1), vlan}) & vf::kRefused) == 0;
  }

  std::map<std::uint32_t, card_reg::RTTBCNRC::Value> rates;
  std::uint32_t selected = 0;
};

TEST_F(FunctionSettings, SharesALimitBetweenTheQueuesThatAFunctionUses) {
  enable(2);
  note_rates();
  ASSERT_TRUE(test::set_function(fixture.port, 0, {.max_rate = 100}));
  EXPECT_EQ(factor(0), 10u);
  EXPECT_EQ(factor(kSecondQueue), 0x3FFFu) << "the lowest rate, until the function enables the queue";
  enable_second_queue(true);
  EXPECT_EQ(factor(0), 20u);
  EXPECT_EQ(factor(kSecondQueue), 20u);
  enable_second_queue(false);
  EXPECT_EQ(factor(0), 10u);
  EXPECT_EQ(factor(kSecondQueue), 0x3FFFu);
  ASSERT_TRUE(test::set_function(fixture.port, 0, {}));
  EXPECT_EQ(factor(0), 0u);
  EXPECT_EQ(factor(kSecondQueue), 0u);
}

TEST_F(FunctionSettings, DoesNotLimitTheQueuesOfFunctionsByThoseOfThePort) {
  ASSERT_TRUE(fixture.port.change([](Settings& settings) { settings.tx_rates[6] = 10; }));
  ASSERT_TRUE(test::set_functions(fixture.port, 2));
  note_rates();
  start();
  EXPECT_EQ(factor(kSecondQueue), 0u) << "2 + 6 is function 0's";
  EXPECT_EQ(fixture.port.change([](Settings& settings) { settings.tx_rates[6] = 20; }).error().code,
            ErrorCode::invalid_argument);
  ASSERT_TRUE(fixture.port.change([](Settings& settings) { settings.tx_rates[0] = 50; }));
  EXPECT_EQ(factor(2), 20u) << "the port's only queue";
  EXPECT_EQ(factor(kSecondQueue), 0u);
}

TEST_F(FunctionSettings, RefusesStampsOfSentFramesWithFunctionsAndFunctionsWithStamps) {
  ASSERT_TRUE(fixture.port.change([](Settings& settings) { settings.stamps = {.transmit = true}; }));
  const auto while_stamped = test::set_functions(fixture.port, 1);
  ASSERT_FALSE(while_stamped);
  EXPECT_EQ(while_stamped.error().code, ErrorCode::bad_state);
  EXPECT_THAT(while_stamped.error().hint, testing::HasSubstr("transmit to false"));
  ASSERT_TRUE(fixture.port.change([](Settings& settings) { settings.stamps = {}; }));
  enable(1);
  const auto with_functions = fixture.port.change([](Settings& settings) { settings.stamps = {.transmit = true}; });
  ASSERT_FALSE(with_functions);
  EXPECT_EQ(with_functions.error().code, ErrorCode::bad_state);
  EXPECT_THAT(with_functions.error().hint, testing::HasSubstr("disable the functions"));
  EXPECT_EQ(fixture.port.settings().stamps, FrameStampsConfig{});
  EXPECT_FALSE(fixture.card.value<card_reg::TSYNCTXCTL>().has(card_reg::TSYNCTXCTL::ENABLED));
  EXPECT_TRUE(
      fixture.port.change([](Settings& settings) { settings.stamps = {.receive = StampedMessages::ptp2_ethernet}; }));
  ASSERT_TRUE(fixture.port.stop());
  ASSERT_TRUE(test::set_functions(fixture.port, 0));
  EXPECT_TRUE(fixture.port.change([](Settings& settings) { settings.stamps = {.transmit = true}; }));
}

TEST_F(FunctionSettings, GivesTheRoomOfOldRequestsToThePort) {
  enable(2);
  ASSERT_TRUE(test::set_function(fixture.port, 1, {.vlan = 7}));
  send({vf::first_word(vf::Message::reset)});
  for (std::uint16_t vlan = 100; vlan < 130; ++vlan) ASSERT_TRUE(joins(vlan)) << vlan;
  EXPECT_FALSE(joins(130)) << "the table is full";
  ASSERT_TRUE(fixture.port.stop());
  for (std::uint16_t vlan = 200; vlan < 230; ++vlan) {
    const auto set = fixture.port.change(test::with_vlan(vlan));
    ASSERT_TRUE(set) << set.error().message();
  }
  start();
  auto table = vlans();
  EXPECT_EQ(table.size(), 32u);
  EXPECT_EQ(table[0], 0b101u) << "tags with a priority alone: all but the function with a VLAN";
  EXPECT_EQ(table[7], 0b010u);
  for (std::uint16_t vlan = 200; vlan < 230; ++vlan) EXPECT_EQ(table[vlan], 0b100u) << vlan;
}

TEST_F(FunctionSettings, FiltersThePortsVlansWhileItRuns) {
  enable(2);
  send({vf::first_word(vf::Message::reset)});
  ASSERT_TRUE(joins(9));
  EXPECT_EQ(vlans()[9], 0b101u) << "without a filter the port receives it, too";
  ASSERT_TRUE(fixture.port.change(test::with_vlan(10)));
  const std::map<std::uint32_t, std::uint32_t> filtered{{0, 0b111}, {9, 0b001}, {10, 0b100}};
  EXPECT_EQ(vlans(), filtered);
  EXPECT_EQ(fixture.card.value<card_reg::VFTA>(0).raw(), 1U << 0 | 1U << 9 | 1U << 10);
  ASSERT_TRUE(fixture.port.change(test::with_vlan(10, false)));
  const std::map<std::uint32_t, std::uint32_t> left{{0, 0b111}, {9, 0b001}};
  EXPECT_EQ(vlans(), left);
}

// A filter that is rewritten misses the frames of its VLAN meanwhile.
TEST_F(FunctionSettings, AVlanKeepsItsFilterAsLongAsAnyoneHasIt) {
  using card_reg::VLVF;
  enable(2);
  for (std::uint16_t vlan = 5; vlan < 8; ++vlan) ASSERT_TRUE(fixture.port.change(test::with_vlan(vlan)));
  send({vf::first_word(vf::Message::reset)});
  ASSERT_TRUE(joins(8));
  const auto entry_of = [this](std::uint32_t vlan) {
    std::uint32_t entry = 0;
    while (entry < VLVF::kCount && fixture.card.value<VLVF>(entry).get(VLVF::VLANID) != vlan) ++entry;
    return entry;
  };
  const std::uint32_t of_7 = entry_of(7), of_8 = entry_of(8);
  ASSERT_TRUE(fixture.port.change(test::with_vlan(5, false)));
  ASSERT_TRUE(test::set_function(fixture.port, 1, {.vlan = 8}));
  ASSERT_TRUE(fixture.port.change(test::with_vlan(4)));
  EXPECT_EQ(entry_of(7), of_7);
  EXPECT_EQ(entry_of(8), of_8) << "requested, and then a setting of another function";
  EXPECT_EQ(vlans()[8], 0b011u);
  ASSERT_TRUE(test::set_function(fixture.port, 1, {}));
  EXPECT_EQ(entry_of(8), of_8) << "requested again alone";
  EXPECT_EQ(vlans()[8], 0b001u);
}

TEST_F(FunctionSettings, AFunctionLeavesTheVlansThatItHasRequestedWhenItGetsOneOfItsOwn) {
  enable(2);
  send({vf::first_word(vf::Message::reset)});
  ASSERT_TRUE(joins(9));
  ASSERT_TRUE(joins(11));
  ASSERT_TRUE(fixture.port.change(test::with_vlan(10)));
  ASSERT_TRUE(test::set_function(fixture.port, 0, {.vlan = 8}));  // in the place of one of them
  const std::map<std::uint32_t, std::uint32_t> table{{0, 0b110}, {8, 0b001}, {10, 0b100}};
  EXPECT_EQ(vlans(), table);
}

TEST_F(FunctionSettings, AnAddressThatAFunctionHasChosenEndsWithItsReset) {
  constexpr MacAddress kSet{2, 0, 0, 0, 0, 1};
  enable(1);
  ASSERT_TRUE(test::set_function(fixture.port, 0, {.mac = kSet, .trusted = true}));
  send({vf::first_word(vf::Message::reset)});
  send({vf::first_word(vf::Message::set_address), 0x0000'0002, 0x0000'0900});
  EXPECT_EQ(state().mac, (MacAddress{2, 0, 0, 0, 0, 9}));
  ASSERT_TRUE(functions->reset_function(0));
  EXPECT_EQ(state().mac, kSet);
  EXPECT_EQ(fixture.card.value<card_reg::RAH>(23).get(card_reg::RAH::ADDRESS), 0x0100u);
}

TEST_F(FunctionSettings, LetsAllGroupsPassIfAMessageCannotHoldThem) {
  using card_reg::VMOLR;
  enable(1);
  send({vf::first_word(vf::Message::reset)});
  send({vf::first_word(vf::Message::set_multicast, 30), 0x0001'0002});
  const auto port_passes_all = [&] { return fixture.card.value<card_reg::RCTL>().has(card_reg::RCTL::MPE); };
  EXPECT_FALSE(fixture.card.value<VMOLR>(0).has(VMOLR::MPME));
  EXPECT_TRUE(fixture.card.value<VMOLR>(0).has(VMOLR::ROMPE));
  EXPECT_FALSE(port_passes_all());
  send({vf::first_word(vf::Message::set_multicast, 31), 0x0001'0002});
  EXPECT_TRUE(fixture.card.value<VMOLR>(0).has(VMOLR::MPME));
  EXPECT_TRUE(port_passes_all()) << "a frame passes the port's own filter first";
  send({vf::first_word(vf::Message::set_multicast, 1), 0x0001'0002});
  EXPECT_FALSE(fixture.card.value<VMOLR>(0).has(VMOLR::MPME)) << "they fit again";
  EXPECT_FALSE(port_passes_all());
}

// E-VFLR: the card would go on to write where the queue's last owner said.
TEST_F(FunctionSettings, TheNextOwnerOfAFunctionGetsItsQueuesCleared) {
  enable(1);
  send({vf::first_word(vf::Message::reset)});
  fixture.card.with([](models::igb::Card& card) {
    for (const std::uint32_t queue : {0U, 1U}) {
      card.function(0)->write32(vf::kRegisterBar, 0x3838 + queue * 0x100, 0x1235'0001);
      card.function(0)->write32(vf::kRegisterBar, 0x383C + queue * 0x100, 7);
    }
    card.function(0)->reset();
    return 0;
  });
  EXPECT_EQ(fixture.card.value<card_reg::TDWBAL>(kSecondQueue).raw(), 0x1235'0001U) << "a reset does not do it";
  send({vf::first_word(vf::Message::reset)});
  for (const std::uint32_t queue : {0U, kSecondQueue}) {
    EXPECT_EQ(fixture.card.value<card_reg::TDWBAL>(queue).raw(), 0U) << queue;
    EXPECT_EQ(fixture.card.value<card_reg::TDWBAH>(queue).raw(), 0U) << queue;
  }
  EXPECT_TRUE(state().driver_up);
}

// A message of the driver may have replaced a request that it had not read yet.
TEST_F(FunctionSettings, DoesNotAnswerItsOwnMessage) {
  enable(1);
  send({vf::first_word(vf::Message::reset)});
  const auto before = state();
  const std::uint32_t own = vf::first_word(vf::Message::control) | vf::kClearToSend;
  EXPECT_EQ(send({own}), own) << "left as it was";
  EXPECT_EQ(state().requests, before.requests + 1);
  EXPECT_EQ(state().refused, before.refused);
}

// Linux's igbvf does so every 2 s until it has a link.
TEST_F(FunctionSettings, TellsADriverThatReadsItsMailboxAgainWhetherItMaySendRequests) {
  enable(1);
  ASSERT_TRUE(test::set_function(fixture.port, 0, {.mac = MacAddress{2, 0, 0, 0, 0, 7}}));
  const std::uint32_t notice = vf::first_word(vf::Message::control);
  ASSERT_TRUE(fixture.port.stop());
  start();
  EXPECT_EQ(read_mailbox(), notice) << "of the restart; left as it was by the first reading";
  EXPECT_EQ(read_mailbox(), vf::kRefused) << "it must announce itself";
  EXPECT_EQ(read_mailbox(), vf::kRefused);
  const std::uint32_t answer = vf::first_word(vf::Message::reset) | vf::kAccepted;
  EXPECT_EQ(send({vf::first_word(vf::Message::reset)}), answer);
  EXPECT_EQ(read_mailbox(), answer) << "left as it was by the first reading";
  EXPECT_EQ(read_mailbox(), notice | vf::kClearToSend);
  EXPECT_EQ(read_mailbox(), notice | vf::kClearToSend);
}

TEST_F(FunctionSettings, DoesNotReplaceARequestByAMessageAboutAReading) {
  enable(1);
  const auto before = state().requests;
  static_cast<void>(read_mailbox());
  acknowledge();
  const std::uint32_t refused = vf::first_word(vf::Message::set_vlan, 1) | vf::kRefused;
  EXPECT_EQ(send({vf::first_word(vf::Message::set_vlan, 1), 5}), refused) << "it has not announced itself";
  EXPECT_EQ(state().requests, before + 1);
}

// Both happen between two of the port's reads.
TEST_F(FunctionSettings, DoesNotTakeAResetForOneAfterTheAnnouncementThatFollowsIt) {
  enable(1);
  bool has_happened = false;
  fixture.card.with([&](models::igb::Card& card) {
    const auto happen = [&has_happened, &card] {
      if (std::exchange(has_happened, true)) return;
      card.function(0)->write32(vf::kRegisterBar, vf::CTRL::offset(), vf::CTRL::Value(vf::CTRL::RST).raw());
      write_message(card, std::array{vf::first_word(vf::Message::reset)});
    };
    const auto happen_after_reading = [&card, happen]<class R>(R) {
      card.registers().on_read<R>([&card, happen](std::uint32_t) {
        const std::uint32_t value = card.registers().get<R>().raw();
        happen();
        return value;
      });
    };
    happen_after_reading(card_reg::MBVFICR{});
    happen_after_reading(card_reg::VFLRE{});
    return 0;
  });
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(fixture.port.service());
  ASSERT_TRUE(has_happened);
  EXPECT_EQ(state().resets, 1u);
  EXPECT_TRUE(state().driver_up);
}

// The function repeats a request that it takes for lost, gets the answer after all, and resets itself.
TEST_F(FunctionSettings, DoesNotTakeAResetForOneAfterTheAnnouncementIfAnEarlierRequestIsStillThere) {
  enable(1);
  bool has_happened = false;
  fixture.card.with([&](models::igb::Card& card) {
    write_message(card, std::array{vf::first_word(vf::Message::reset)});
    card.registers().on_read<card_reg::VFLRE>([&has_happened, &card](std::uint32_t) {
      const std::uint32_t value = card.registers().get<card_reg::VFLRE>().raw();
      if (std::exchange(has_happened, true)) return value;
      card.function(0)->write32(vf::kRegisterBar, vf::CTRL::offset(), vf::CTRL::Value(vf::CTRL::RST).raw());
      write_message(card, std::array{vf::first_word(vf::Message::reset)});
      return value;
    });
    return 0;
  });
  ASSERT_TRUE(fixture.port.service());
  ASSERT_TRUE(has_happened);
  EXPECT_EQ(state().requests, 1u) << "the repeated one, which the announcement has replaced";
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(fixture.port.service());
  EXPECT_EQ(state().resets, 1u);
  EXPECT_TRUE(state().driver_up);
}

TEST_F(FunctionSettings, KeepsCountersOverARestart) {
  enable(1);
  const auto count = [this](std::uint32_t packets) {
    fixture.card.with([packets](models::igb::Card& card) {
      card.registers().set<card_reg::PVFGPRC>(0, card_reg::PVFGPRC::Value(packets));
      return 0;
    });
  };
  count(5);
  EXPECT_EQ(state().counters.rx_packets, 5u);
  ASSERT_TRUE(fixture.port.stop());
  start();
  EXPECT_EQ(fixture.card.value<card_reg::PVFGPRC>(0).raw(), 0u) << "the reset has cleared it";
  EXPECT_EQ(state().counters.rx_packets, 5u);
  count(2);
  EXPECT_EQ(state().counters.rx_packets, 7u);
}

TEST_F(FunctionSettings, NeedsOneQueueInEachDirection) {
  for (const auto& [receives, transmits] : std::vector<std::array<std::uint16_t, 2>>{{1, 0}, {0, 1}, {2, 1}, {1, 2}}) {
    Settings config = fixture.config;
    config.rx[0].pool = fixture.pool;
    config.rx.resize(receives, config.rx[0]);
    config.tx.resize(transmits, config.tx[0]);
    ASSERT_TRUE(configure_port(fixture.port, config));
    EXPECT_EQ(test::set_functions(fixture.port, 1).error().code, ErrorCode::bad_state) << receives << ", " << transmits;
    config.rx.resize(1, config.rx[0]);
    config.tx.resize(1, config.tx[0]);
    ASSERT_TRUE(configure_port(fixture.port, config));
    ASSERT_TRUE(test::set_functions(fixture.port, 1));
    config.rx.resize(receives, config.rx[0]);
    config.tx.resize(transmits, config.tx[0]);
    EXPECT_EQ(configure_port(fixture.port, config).error().code, ErrorCode::bad_state);
    ASSERT_TRUE(test::set_functions(fixture.port, 0));
  }
}

}  // namespace
}  // namespace pollux::test
