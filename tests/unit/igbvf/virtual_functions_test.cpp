// SPDX-License-Identifier: BSD-3-Clause
// The driver of the physical function with the driver of virtual functions, both on the in-process card.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <iterator>
#include <vector>

#include "support/settings_edits.hpp"
#include "unit/igbvf/physical_and_virtual.hpp"

namespace pollux::drivers {
namespace {

using testing::HasSubstr;

TEST_P(EachCardsFunctions, FunctionsGetTheirAddressesAndAnnounceThemselves) {
  EXPECT_FALSE(state(0).driver_up);
  open_functions();
  EXPECT_EQ(first->mac(), kFirst);
  EXPECT_EQ(second->mac(), kSecond);
  EXPECT_TRUE(state(0).driver_up);
  EXPECT_TRUE(state(1).driver_up);
  EXPECT_GT(state(0).requests, 1u);
  EXPECT_EQ(to_string(first->link()), "up, 1000 Mb/s, full duplex");
}

TEST_P(EachCardsFunctions, AllExchangeFramesAndTheCardCountsThem) {
  open_functions();
  Port* const ports[]{&*first, &*second, &*physical, &*partner};
  for (Port* from : ports) {
    for (Port* to : ports) {
      if (from == to) continue;
      for (unsigned i = 0; i < 5; ++i) {
        const test::Frame sent = frame(to->mac(), from->mac(), i);
        transmit(*from, sent);
        for (Port* any : ports) {
          if (any == to) {
            EXPECT_THAT(received(*any), testing::ElementsAre(sent)) << from->info().name << " to " << to->info().name;
          } else {
            EXPECT_THAT(received(*any), testing::IsEmpty()) << any->info().name;
          }
        }
      }
    }
  }
  for (const unsigned number : {0U, 1U}) {
    const VirtualFunctionCounters counters = state(number).counters;
    EXPECT_EQ(counters.rx_packets, 15u);
    EXPECT_EQ(counters.tx_packets, 15u);
    EXPECT_EQ(counters.rx_local_packets, 10u) << "from the other function and the port";
    EXPECT_EQ(counters.tx_local_packets, 10u);
    EXPECT_EQ(counters.rx_bytes, 15u * 104);
  }
}

TEST_P(EachCardsFunctions, ForgedFramesAreDroppedAndReported) {
  open_functions();
  transmit(*first, frame(partner->mac(), kForeign));
  EXPECT_THAT(received(*partner), testing::IsEmpty());
  EXPECT_EQ(state(0).spoof_events, 1u);
  EXPECT_EQ(state(1).spoof_events, 0u);
  ASSERT_TRUE(test::set_function(*physical, 0, {.mac = kFirst, .spoof_check = false}));
  transmit(*first, frame(partner->mac(), kForeign));
  EXPECT_THAT(received(*partner), testing::SizeIs(1));
  EXPECT_EQ(state(0).spoof_events, 1u);
}

TEST_P(EachCardsFunctions, TagsOfForeignVlansAreDroppedAndReported) {
  open_functions();
  test::Frame tagged = frame(partner->mac(), kFirst);
  const std::byte tag[]{std::byte{0x81}, std::byte{0x00}, std::byte{0x00}, std::byte{0x09}};
  tagged.insert(tagged.begin() + 12, std::begin(tag), std::end(tag));
  transmit(*first, tagged);
  EXPECT_THAT(received(*partner), testing::IsEmpty());
  EXPECT_EQ(state(0).spoof_events, 1u);
  ASSERT_TRUE(served([&] { return first->change(test::with_vlan(9)); }));
  transmit(*first, tagged);
  EXPECT_THAT(received(*partner), testing::ElementsAre(tagged));
  ASSERT_TRUE(test::set_function(*physical, 1, {.mac = kSecond, .spoof_check = false}));
  test::Frame others = tagged;
  std::memcpy(others.data() + 6, kSecond.data(), kSecond.size());
  transmit(*second, others);
  EXPECT_THAT(received(*partner), testing::ElementsAre(others)) << "not checked";
  EXPECT_EQ(state(0).spoof_events, 1u);
  EXPECT_EQ(state(1).spoof_events, 0u);
}

TEST_P(EachCardsFunctions, AnAddressThatIsSetCannotBeReplacedWithoutTrust) {
  open_functions();
  const auto denied = served([&] { return test::set_mac(*first, kForeign); });
  ASSERT_FALSE(denied);
  EXPECT_EQ(denied.error().code, ErrorCode::permission_denied);
  EXPECT_THAT(denied.error().hint, HasSubstr("trust"));
  EXPECT_EQ(refusals(0, VirtualFunctionRefusal::address_is_set), 1u);
  EXPECT_EQ(state(0).mac, kFirst);
  ASSERT_TRUE(test::set_function(*physical, 0, {.mac = kFirst, .trusted = true}));
  const auto set = served([&] { return test::set_mac(*first, kForeign); });
  EXPECT_TRUE(set) << set.error().message();
  EXPECT_EQ(state(0).mac, kForeign);
  const test::Frame to_new = frame(kForeign, partner->mac());
  transmit(*partner, to_new);
  EXPECT_THAT(received(*first), testing::ElementsAre(to_new));
}

TEST_P(EachCardsFunctions, AFunctionWithoutAnAddressChoosesOne) {
  ASSERT_TRUE(test::set_function(*physical, 0, {}));
  ASSERT_TRUE(functions->reset_function(0));
  open_functions();
  EXPECT_EQ(state(0).mac, first->mac());
  EXPECT_NE(first->mac(), kFirst);
  const test::Frame in = frame(first->mac(), partner->mac());
  transmit(*partner, in);
  EXPECT_THAT(received(*first), testing::ElementsAre(in));
}

TEST_P(EachCardsFunctions, AVlanThatIsSetIsInsertedStrippedAndKept) {
  ASSERT_TRUE(test::set_function(*physical, 0, {.mac = kFirst, .vlan = 7, .qos = 3}));
  open_functions();
  const test::Frame out = frame(partner->mac(), kFirst);
  transmit(*first, out);
  const auto arrived = received(*partner);
  ASSERT_THAT(arrived, testing::SizeIs(1));
  test::Frame tagged = out;
  const std::byte tag[]{std::byte{0x81}, std::byte{0x00}, std::byte{0x60}, std::byte{0x07}};
  tagged.insert(tagged.begin() + 12, std::begin(tag), std::end(tag));
  EXPECT_EQ(arrived.front(), tagged);

  test::Frame back = frame(kFirst, partner->mac());
  transmit(*partner, back);
  EXPECT_THAT(received(*first), testing::IsEmpty()) << "not in the VLAN";
  test::Frame back_tagged = back;
  back_tagged.insert(back_tagged.begin() + 12, std::begin(tag), std::end(tag));
  transmit(*partner, back_tagged);
  EXPECT_THAT(received(*first), testing::ElementsAre(back));

  const auto denied = served([&] { return first->change(test::with_vlan(9)); });
  ASSERT_FALSE(denied);
  EXPECT_EQ(denied.error().code, ErrorCode::permission_denied);
  EXPECT_THAT(denied.error().hint, HasSubstr("VLAN"));
  EXPECT_EQ(refusals(0, VirtualFunctionRefusal::vlan_is_set), 1u);
}

TEST_P(EachCardsFunctions, AFunctionJoinsAndLeavesVlans) {
  open_functions();
  test::Frame in = frame(kFirst, partner->mac());
  const std::byte tag[]{std::byte{0x81}, std::byte{0x00}, std::byte{0x00}, std::byte{0x09}};
  in.insert(in.begin() + 12, std::begin(tag), std::end(tag));
  for (const bool joined : {true, false}) {
    const auto set = served([&] { return first->change(test::with_vlan(9, joined)); });
    ASSERT_TRUE(set) << set.error().message();
    transmit(*partner, in);
    EXPECT_THAT(received(*first), testing::SizeIs(joined ? 1 : 0));
  }
  for (std::uint16_t vlan = 100; vlan < 131; ++vlan) {
    ASSERT_TRUE(served([&] { return first->change(test::with_vlan(vlan)); })) << vlan;
  }
  EXPECT_FALSE(served([&] { return first->change(test::with_vlan(131)); }));
  EXPECT_EQ(refusals(0, VirtualFunctionRefusal::too_many_vlans), 1u);
  const auto busy = test::set_function(*physical, 1, {.mac = kSecond, .vlan = 200});
  ASSERT_FALSE(busy);
  EXPECT_EQ(busy.error().code, ErrorCode::busy);
  EXPECT_EQ(state(1).config.vlan, 0) << "a refused setting changes nothing";
}

TEST_P(EachCardsFunctions, GroupsReachTheFunctionsThatRequestThem) {
  open_functions();
  const MacAddress group{0x01, 0x00, 0x5E, 0x00, 0x00, 0x07};
  transmit(*partner, frame(group, partner->mac()));
  EXPECT_THAT(received(*first), testing::IsEmpty());
  ASSERT_TRUE(served([&] { return first->change([&](Settings& settings) { settings.multicast = {group}; }); }));
  const test::Frame in = frame(group, partner->mac());
  transmit(*partner, in);
  EXPECT_THAT(received(*first), testing::ElementsAre(in));
  EXPECT_THAT(received(*second), testing::IsEmpty());
}

// Functions have the receive addresses, so those of the port pass by their hash (UTA and MTA).
TEST_P(EachCardsFunctions, ThePortsFurtherAddressesPassByTheirHash) {
  first.emplace(opened("sim:0.vf0"));
  const MacAddress group{0x01, 0x00, 0x5E, 0x00, 0x00, 0x07};
  const auto passes = [&](const MacAddress& to) {
    transmit(*partner, frame(to, partner->mac()));
    return received(*physical).size() == 1;
  };
  EXPECT_FALSE(passes(kForeign));
  EXPECT_FALSE(passes(group));
  ASSERT_TRUE(physical->change([&](Settings& settings) { settings.unicast = {kForeign}; }));
  ASSERT_TRUE(physical->change([&](Settings& settings) { settings.multicast = {group}; }));
  for (const bool restarted : {false, true}) {
    EXPECT_TRUE(passes(kForeign)) << restarted;
    EXPECT_TRUE(passes(group)) << restarted;
    if (restarted) continue;
    EXPECT_THAT(received(*first), testing::IsEmpty());
    transmit(*first, frame(kForeign, kFirst));
    EXPECT_THAT(received(*physical), testing::SizeIs(1)) << "from a function, too";
    ASSERT_TRUE(physical->stop());
    ASSERT_TRUE(physical->start());
    clock->advance(3s);
    ASSERT_TRUE(physical->service());
  }
  ASSERT_TRUE(physical->change([](Settings& settings) { settings.unicast = {}; }));
  EXPECT_FALSE(passes(kForeign));
  EXPECT_TRUE(passes(group));
}

TEST_P(EachCardsFunctions, HashedAddressesMayBeManyUntilTheFunctionsEnd) {
  std::vector<MacAddress> many;
  for (std::uint8_t i = 0; i < 40; ++i) many.push_back({0x02, 0, 0, 0, i, 0x77});
  ASSERT_TRUE(physical->change([&](Settings& settings) { settings.unicast = many; }));
  transmit(*partner, frame(many.back(), partner->mac()));
  EXPECT_THAT(received(*physical), testing::SizeIs(1));
  ASSERT_TRUE(physical->stop());
  const auto refused = test::set_functions(*physical, 0);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message(), HasSubstr("set fewer first"));
  many.resize(23);
  ASSERT_TRUE(physical->change([&](Settings& settings) { settings.unicast = many; }));
  ASSERT_TRUE(test::set_functions(*physical, 0));
  ASSERT_TRUE(physical->start());
  clock->advance(3s);
  transmit(*partner, frame(many.back(), partner->mac()));
  EXPECT_THAT(received(*physical), testing::SizeIs(1)) << "compared exactly now";
}

// Linux, igb_main.c, igb_set_rx_mode: what no receive address matches goes to the port, too.
TEST_P(EachCardsFunctions, APromiscuousPortReceivesWhatFunctionsSendToOthers) {
  open_functions();
  for (const bool promiscuous : {false, true, false}) {
    ASSERT_TRUE(test::set_promiscuous(*physical, promiscuous));
    transmit(*first, frame(kForeign, kFirst));
    EXPECT_THAT(received(*partner), testing::SizeIs(0));
    EXPECT_THAT(received(*physical), testing::SizeIs(promiscuous ? 1 : 0));
    transmit(*first, frame(kSecond, kFirst));
    EXPECT_THAT(received(*second), testing::SizeIs(1));
    EXPECT_THAT(received(*physical), testing::IsEmpty()) << "it has an owner";
    transmit(*partner, frame(kForeign, partner->mac()));
    EXPECT_THAT(received(*physical), testing::SizeIs(promiscuous ? 1 : 0)) << "from the wire";
  }
}

TEST_P(EachCardsFunctions, ADisabledFunctionNeitherSendsNorReceives) {
  open_functions();
  ASSERT_TRUE(test::set_function(*physical, 0, {.mac = kFirst, .enabled = false}));
  transmit(*first, frame(partner->mac(), kFirst));
  EXPECT_THAT(received(*partner), testing::IsEmpty());
  transmit(*partner, frame(kFirst, partner->mac()));
  EXPECT_THAT(received(*first), testing::IsEmpty());
  ASSERT_TRUE(test::set_function(*physical, 0, {.mac = kFirst}));
  clock->advance(1ms);
  EXPECT_THAT(received(*partner), testing::SizeIs(1)) << "the frame that waited in the function's ring";
}

// A frame of 124 bytes on the wire takes 0.99 ms at 1 Mb/s, and a frame is sent each millisecond after the burst.
TEST_F(PhysicalAndVirtual, ARateLimitsTheFunctionAlone) {
  open_functions();
  ASSERT_TRUE(test::set_function(*physical, 0, {.mac = kFirst, .max_rate = 1}));
  const auto burst = [&](Port& from, const MacAddress& mac) {
    Burst<20> frames;
    for (unsigned i = 0; i < 20; ++i) {
      MbufPtr mbuf = pool->allocate();
      const test::Frame bytes = frame(partner->mac(), mac, i);
      std::memcpy(mbuf->append(static_cast<std::uint32_t>(bytes.size())), bytes.data(), bytes.size());
      EXPECT_TRUE(frames.push(mbuf));
    }
    EXPECT_EQ(from.tx(0).tx_burst(frames), 20u);
    clock->advance(5ms);
    return received(*partner).size();
  };
  EXPECT_EQ(burst(*second, kSecond), 20u);
  const std::size_t limited = burst(*first, kFirst);
  EXPECT_GE(limited, 4u);
  EXPECT_LE(limited, 6u);
  EXPECT_EQ(test::set_function(*physical, 0, {.mac = kFirst, .max_rate = 1001}).error().code,
            ErrorCode::invalid_argument);
  EXPECT_EQ(state(0).config.max_rate, 1u);
  ASSERT_TRUE(test::set_function(*physical, 0, {.mac = kFirst}));
  clock->advance(5ms);
  EXPECT_EQ(received(*partner).size(), 20 - limited);
}

// Linux, igb_main.c, igb_ndo_set_vf_bw: rates are an 82576's alone.
TEST_P(EachCardsFunctions, AreSevenAndHaveRatesOnAn82576) {
  EXPECT_EQ(functions->max_functions(), 7U);
  const auto limited = test::set_function(*physical, 0, {.mac = kFirst, .max_rate = 1});
  EXPECT_EQ(limited.has_value(), GetParam() == "82576");
}

TEST_P(EachCardsFunctions, AResetOfOneFunctionLeavesTheOther) {
  open_functions();
  ASSERT_TRUE(functions->reset_function(0));
  EXPECT_FALSE(state(0).driver_up);
  clock->advance(11s);
  EXPECT_FALSE(first->service());
  EXPECT_EQ(first->state(), PortState::failed);
  EXPECT_TRUE(second->service());
  const test::Frame in = frame(kSecond, partner->mac());
  transmit(*partner, in);
  EXPECT_THAT(received(*second), testing::ElementsAre(in));
  first.reset();
  first.emplace(opened("sim:0.vf0"));
  const test::Frame again = frame(kFirst, partner->mac());
  transmit(*partner, again);
  EXPECT_THAT(received(*first), testing::ElementsAre(again));
}

TEST_P(EachCardsFunctions, AFunctionThatIsNotEnabledIsNone) {
  const auto none = open_unconfigured(context, "sim:0.vf2");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, ErrorCode::device_removed);
  EXPECT_THAT(none.error().what, testing::HasSubstr("no such virtual function"));
  EXPECT_THAT(none.error().hint, testing::HasSubstr("Settings::functions"));
}

TEST_P(EachCardsFunctions, SettingsAreBackAfterAStopAndAStart) {
  ASSERT_TRUE(test::set_function(*physical, 0, {.mac = kFirst, .vlan = 7}));
  ASSERT_TRUE(physical->stop());
  ASSERT_TRUE(physical->start());
  clock->advance(3s);
  ASSERT_TRUE(physical->service());
  open_functions();
  EXPECT_EQ(first->mac(), kFirst);
  transmit(*first, frame(partner->mac(), kFirst));
  EXPECT_THAT(received(*partner), testing::ElementsAre(testing::SizeIs(104))) << "with the tag";
  transmit(*first, frame(partner->mac(), kForeign));
  EXPECT_EQ(state(0).spoof_events, 1u);
}

TEST_P(EachCardsFunctions, AResetOfThePhysicalFunctionReachesTheFunctions) {
  open_functions();
  ASSERT_TRUE(physical->stop());
  EXPECT_FALSE(first->service());
  EXPECT_EQ(first->state(), PortState::failed);
}

TEST_P(EachCardsFunctions, RefusedSettingsChangeNothing) {
  const auto check = [&](unsigned number, const VirtualFunctionConfig& config, const char* text) {
    const auto refused = test::set_function(*physical, number, config);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
    EXPECT_THAT(refused.error().what, HasSubstr(text));
    EXPECT_FALSE(refused.error().hint.empty());
  };
  check(0, {.mac = MacAddress{}}, "cannot be its address");
  check(0, {.mac = MacAddress{1, 0, 0, 0, 0, 1}}, "cannot be its address");
  check(0, {.vlan = 4095}, "4095");
  check(0, {.vlan = 1, .qos = 8}, "qos");
  check(0, {.qos = 1}, "qos without a vlan");
  EXPECT_EQ(state(0).config, VirtualFunctionConfig{.mac = kFirst});
  EXPECT_EQ(test::set_functions(*physical, 0).error().code, ErrorCode::bad_state) << "the port is started";
  ASSERT_TRUE(physical->stop());
  EXPECT_EQ(test::set_functions(*physical, 8).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(test::set_functions(*physical, 3).error().code, ErrorCode::busy);
  EXPECT_EQ(test::configure_port(*physical, {.rx = std::vector<RxQueueConfig>(2)}).error().code, ErrorCode::bad_state);
  ASSERT_TRUE(test::set_functions(*physical, 0));
  EXPECT_EQ(physical->settings().functions.size(), 0u);
  ASSERT_TRUE(physical->start()) << "without functions it has all queues again";
  clock->advance(3s);
  const test::Frame in = frame(physical->mac(), partner->mac());
  transmit(*partner, in);
  EXPECT_THAT(received(*physical), testing::ElementsAre(in));
}

INSTANTIATE_TEST_SUITE_P(Cards, EachCardsFunctions, kCardsWithFunctions, name_of_card);

}  // namespace
}  // namespace pollux::drivers
