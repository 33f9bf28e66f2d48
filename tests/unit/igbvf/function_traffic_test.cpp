// SPDX-License-Identifier: BSD-3-Clause
// Which frames reach a virtual function and the port, by tag and by group. The port is not promiscuous.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <vector>

#include "hw/intel/igb/registers.hpp"
#include "pollux/runtime/kernel_path.hpp"
#include "support/settings_edits.hpp"
#include "unit/igbvf/physical_and_virtual.hpp"

namespace pollux::drivers {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr MacAddress kGroup{0x01, 0x00, 0x5E, 0x00, 0x00, 0x07};
constexpr MacAddress kOtherGroup{0x01, 0x00, 0x5E, 0x11, 0x22, 0x33};
constexpr MacAddress kAll{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};

class FunctionTraffic : public EachCardsFunctions {
 protected:
  void SetUp() override {
    PhysicalAndVirtual::SetUp();
    open_functions();
  }
  [[nodiscard]] test::Frame tagged(const MacAddress& to, std::uint16_t tag) const {
    test::Frame bytes = frame(to, partner->mac());
    const std::array<std::byte, 4> inserted{std::byte{0x81}, std::byte{0x00}, static_cast<std::byte>(tag >> 8),
                                            static_cast<std::byte>(tag & 0xFF)};
    bytes.insert(bytes.begin() + 12, inserted.begin(), inserted.end());
    return bytes;
  }
  /// The number of frames that a port gets of one from the wire.
  [[nodiscard]] std::size_t arrives(const test::Frame& bytes, Port& at) {
    transmit(*partner, bytes);
    return received(at).size();
  }
  void discard() {
    for (Port* const port : {&*first, &*second, &*physical}) static_cast<void>(received(*port));
  }
  [[nodiscard]] Result<void> join(Port& port, std::uint16_t vlan, bool on = true) {
    return served([&] { return port.change(test::with_vlan(vlan, on)); });
  }
  /// Whether the port's own filter lets all groups pass.
  [[nodiscard]] bool port_passes_all_groups() {
    for (const RegisterValue& value : physical->capability<RegisterDump>()->registers()) {
      if (value.name == "RCTL") return hw::igb::RCTL::Value(value.value).has(hw::igb::RCTL::MPE);
    }
    ADD_FAILURE() << "no RCTL";
    return false;
  }
  /// The tag in the metadata of the next frame, which has arrived; nullopt if there is no tag.
  [[nodiscard]] static std::optional<std::uint16_t> tag_of_next(Port& port) {
    Burst<4> burst;
    EXPECT_EQ(port.rx(0).rx_burst(burst), 1U);
    return burst.empty() ? std::nullopt : RxMetadata(burst[0]).vlan();
  }
};

TEST_P(FunctionTraffic, APortThatIsNotPolledHoldsUpNoFunction) {
  constexpr unsigned kMoreThanTheRing = 80;
  for (unsigned i = 0; i < kMoreThanTheRing; ++i) transmit(*partner, frame(physical->mac(), partner->mac()));
  EXPECT_EQ(arrives(frame(kFirst, partner->mac()), *first), 1u);
  EXPECT_EQ(arrives(frame(kSecond, partner->mac()), *second), 1u);
  const std::uint64_t missed = physical->stats().rx_missed_errors;
  std::size_t taken = received(*physical).size();
  while (const std::size_t more = received(*physical).size()) taken += more;
  EXPECT_EQ(taken + missed, kMoreThanTheRing) << "each frame that was dropped is counted";
}

// A tag with VLAN 0 has a priority alone, so the frame is one without a VLAN (IEEE 802.1Q).
TEST_P(FunctionTraffic, FramesWithAPriorityAloneReachWhoeverGetsUntaggedOnes) {
  const auto expect_as_untagged = [&](const char* when, std::size_t at_first) {
    for (const std::uint16_t tag : std::array<std::uint16_t, 3>{0x0000, 0x6000, 0xE000}) {
      for (const auto& [port, mac, count] : {std::tuple{&*first, kFirst, at_first},
                                             {&*second, kSecond, std::size_t{1}},
                                             {&*physical, physical->mac(), std::size_t{1}}}) {
        EXPECT_EQ(arrives(tagged(mac, tag), *port), count) << when << ", " << port->info().name << ", tag " << tag;
        EXPECT_EQ(arrives(frame(mac, partner->mac()), *port), count) << when << ", " << port->info().name;
        EXPECT_EQ(arrives(tagged(kAll, tag), *port), count) << when << ", broadcast, " << port->info().name;
        discard();
      }
    }
  };
  expect_as_untagged("no VLAN", 1);
  ASSERT_TRUE(join(*first, 5));
  expect_as_untagged("a function in VLAN 5", 1);
  ASSERT_TRUE(physical->change(test::with_vlan(6)));
  expect_as_untagged("the port in VLAN 6", 1);
  ASSERT_TRUE(join(*first, 5, false));
  ASSERT_TRUE(test::set_function(*physical, 0, {.mac = kFirst, .vlan = 7}));
  expect_as_untagged("a function with a VLAN that is set", 0);
  ASSERT_TRUE(test::set_function(*physical, 0, {.mac = kFirst}));
  expect_as_untagged("a function without it again", 1);
}

TEST_P(FunctionTraffic, TheTagOfAPriorityIsReported) {
  transmit(*partner, tagged(kFirst, 0x6000));
  EXPECT_EQ(tag_of_next(*first), 0x6000);
}

TEST_P(FunctionTraffic, AFunctionSendsFramesWithAPriorityAlone) {
  test::Frame out = tagged(partner->mac(), 0xA000);
  std::memcpy(out.data() + 6, kFirst.data(), kFirst.size());
  transmit(*first, out);
  EXPECT_THAT(received(*partner), ElementsAre(out));
}

// The port has not asked for any group: its own filter is opened, too, and its pool's is not.
TEST_P(FunctionTraffic, AllGroupsReachTheFunctionThatRequestsThem) {
  for (const MacAddress& group : {kGroup, kOtherGroup}) EXPECT_EQ(arrives(frame(group, partner->mac()), *first), 0U);
  for (int round = 0; round < 2; ++round) {
    ASSERT_TRUE(served([&] { return test::set_all_multicast(*first, true); }));
    for (const MacAddress& group : {kGroup, kOtherGroup}) {
      EXPECT_EQ(arrives(frame(group, partner->mac()), *first), 1U) << round;
      EXPECT_EQ(arrives(tagged(group, 0x6000), *first), 1U) << round;
      EXPECT_THAT(received(*second), IsEmpty());
      EXPECT_THAT(received(*physical), IsEmpty());
    }
    // Another setting of the port leaves it as it is.
    ASSERT_TRUE(test::set_promiscuous(*physical, true));
    ASSERT_TRUE(test::set_promiscuous(*physical, false));
    EXPECT_EQ(arrives(frame(kGroup, partner->mac()), *first), 1U);
    ASSERT_TRUE(served([&] { return test::set_all_multicast(*first, false); }));
    EXPECT_EQ(arrives(frame(kGroup, partner->mac()), *first), 0U);
  }
}

TEST_P(FunctionTraffic, GroupsArriveInTheVlansOfAFunction) {
  ASSERT_TRUE(served([&] { return first->change([&](Settings& settings) { settings.multicast = {kGroup}; }); }));
  ASSERT_TRUE(join(*first, 9));
  EXPECT_EQ(arrives(tagged(kGroup, 9), *first), 1U);
  EXPECT_EQ(arrives(tagged(kGroup, 8), *first), 0U);
  EXPECT_EQ(arrives(tagged(kOtherGroup, 9), *first), 0U);
  ASSERT_TRUE(served([&] { return test::set_all_multicast(*first, true); }));
  EXPECT_EQ(arrives(tagged(kOtherGroup, 9), *first), 1U);
  EXPECT_EQ(arrives(tagged(kOtherGroup, 8), *first), 0U);
}

TEST_P(FunctionTraffic, AllGroupsEndWithTheFunctionThatRequestedThem) {
  ASSERT_TRUE(served([&] { return test::set_all_multicast(*first, true); }));
  EXPECT_TRUE(port_passes_all_groups());
  ASSERT_TRUE(functions->reset_function(0));
  EXPECT_FALSE(port_passes_all_groups());
  first.reset();
  first.emplace(opened("sim:0.vf0"));
  EXPECT_EQ(arrives(frame(kGroup, partner->mac()), *first), 0U);
  ASSERT_TRUE(served([&] { return test::set_all_multicast(*first, true); }));
  ASSERT_TRUE(physical->stop());
  ASSERT_TRUE(physical->start());
  EXPECT_FALSE(port_passes_all_groups());
}

TEST_P(FunctionTraffic, EachFunctionHasItsOwnLengthOfFrames) {
  ASSERT_TRUE(served([&] { return test::set_mtu(*first, 2000); }));
  test::Frame longer = test::counting_frame(1900);
  std::memcpy(longer.data(), kFirst.data(), kFirst.size());
  EXPECT_EQ(arrives(longer, *first), 1U);
  std::memcpy(longer.data(), kSecond.data(), kSecond.size());
  EXPECT_EQ(arrives(longer, *second), 0U);
  ASSERT_TRUE(served([&] { return test::set_mtu(*first, 1500); }));
  std::memcpy(longer.data(), kFirst.data(), kFirst.size());
  EXPECT_EQ(arrives(longer, *first), 0U);
}

TEST_P(FunctionTraffic, PromiscuousModeOfAFunctionIsRefusedByName) {
  const auto refused = served([&] { return test::set_promiscuous(*first, true); });
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message(), HasSubstr("promiscuous"));
  EXPECT_EQ(arrives(frame(kForeign, partner->mac()), *first), 0U);
}

// The card strips the tag and reports it; the function's driver must not.
TEST_P(FunctionTraffic, AFunctionDoesNotSeeTheTagOfTheVlanThatIsSet) {
  ASSERT_TRUE(test::set_function(*physical, 0, {.mac = kFirst, .vlan = 7, .qos = 3}));
  for (const MacAddress& to : {kFirst, kAll}) {
    transmit(*partner, tagged(to, 0x6007));
    EXPECT_EQ(tag_of_next(*first), std::nullopt);
  }
  // Whoever rebuilds its frames gives the kernel none with that tag.
  auto representor = open(context, "ring:k:0");
  auto kernel = open(context, "ring:k:1", {.promiscuous = true});
  ASSERT_TRUE(representor && kernel);
  MempoolCache cache(*first->rx_pool());
  const auto path = served([&] { return KernelPath::create(*first, *representor, cache); });
  ASSERT_TRUE(path) << path.error().message();
  transmit(*partner, tagged(kFirst, 0x6007));
  Burst<4> burst;
  ASSERT_EQ(first->rx(0).rx_burst(burst), 1U);
  (*path)->to_kernel(burst);
  EXPECT_THAT(received(*kernel), ElementsAre(frame(kFirst, partner->mac())));
}

TEST_P(FunctionTraffic, AFunctionSeesTheTagsOfTheVlansThatItHasJoined) {
  const auto refused_join = [&] { return join(*first, 9); };
  ASSERT_TRUE(test::set_function(*physical, 0, {.mac = kFirst, .vlan = 7}));
  ASSERT_FALSE(refused_join());
  transmit(*partner, tagged(kFirst, 7));
  EXPECT_EQ(tag_of_next(*first), std::nullopt) << "a refused request changes nothing";
  ASSERT_TRUE(test::set_function(*physical, 0, {.mac = kFirst}));
  ASSERT_TRUE(join(*first, 9));
  ASSERT_TRUE(join(*first, 10));
  for (const std::uint16_t vlan : std::array<std::uint16_t, 2>{9, 10}) {
    transmit(*partner, tagged(kFirst, vlan));
    EXPECT_EQ(tag_of_next(*first), vlan);
  }
  ASSERT_TRUE(join(*first, 9, false));
  transmit(*partner, tagged(kFirst, 10));
  EXPECT_EQ(tag_of_next(*first), 10);
  ASSERT_TRUE(served([&] { return first->stop(); }));
  ASSERT_TRUE(served([&] { return first->start(); }));
  clock->advance(1ms);
  transmit(*partner, tagged(kFirst, 10));
  EXPECT_EQ(tag_of_next(*first), 10) << "requested again by the start";
}

TEST_P(FunctionTraffic, ThePortGetsTheVlansThatNobodyHasJoined) {
  EXPECT_EQ(arrives(tagged(physical->mac(), 77), *physical), 1U);
  EXPECT_EQ(arrives(tagged(kFirst, 77), *first), 0U);
  discard();
  ASSERT_TRUE(physical->change(test::with_vlan(6)));
  EXPECT_EQ(arrives(tagged(physical->mac(), 77), *physical), 0U);
  EXPECT_EQ(arrives(tagged(physical->mac(), 6), *physical), 1U);
}

// E-LOOPTAG: an I350 swaps the bytes of the stripped tags of frames that come from one of its functions. The tag of
// VLAN 0x0100 then looks like that of VLAN 1, and one of a priority alone like that of a VLAN.
TEST_P(FunctionTraffic, TagsBetweenFunctionsAreReportedAsTheyWereSent) {
  const auto send = [&](Port& from, Port& to, std::uint16_t tag) {
    test::Frame bytes = tagged(to.mac(), tag);
    std::memcpy(bytes.data() + 6, from.mac().data(), from.mac().size());
    transmit(from, bytes);
    return tag_of_next(to);
  };
  ASSERT_TRUE(physical->change([](Settings& settings) { settings.vlan_stripping = true; }));
  for (const bool joined : {false, true}) {
    if (joined) {
      for (Port* const port : {&*first, &*second}) ASSERT_TRUE(join(*port, 0x100));
    }
    for (Port* const to : {&*second, &*physical}) {
      EXPECT_EQ(send(*first, *to, 0x6000), 0x6000) << to->info().name;
      if (joined) {
        EXPECT_EQ(send(*first, *to, 0xA100), 0xA100) << to->info().name;
      }
      transmit(*partner, tagged(to->mac(), 0x6000));
      EXPECT_EQ(tag_of_next(*to), 0x6000) << "from the wire to " << to->info().name;
    }
  }
}

// With its bytes swapped, the tag would be that of a priority alone, which a function sees.
TEST_P(FunctionTraffic, AFunctionDoesNotSeeTheTagOfTheVlanThatItSharesWithAnother) {
  for (const unsigned number : {0U, 1U}) {
    const MacAddress& mac = number == 0 ? kFirst : kSecond;
    ASSERT_TRUE(test::set_function(*physical, number, {.mac = mac, .vlan = 0x10}));
  }
  transmit(*first, frame(kSecond, kFirst));
  EXPECT_EQ(tag_of_next(*second), std::nullopt);
  transmit(*first, frame(kSecond, kFirst, 2));
  EXPECT_THAT(received(*second), ElementsAre(frame(kSecond, kFirst, 2)));
}

TEST_P(FunctionTraffic, OuterVlanTagsAndFunctionsExcludeEachOther) {
  const auto refused = physical->change([](Settings& settings) { settings.outer_vlan_type = 0x88A8; });
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::bad_state);
  EXPECT_THAT(refused.error().hint, HasSubstr("disable the functions"));
  first.reset();
  second.reset();
  ASSERT_TRUE(physical->stop());
  ASSERT_TRUE(test::set_functions(*physical, 0));
  ASSERT_TRUE(physical->change([](Settings& settings) { settings.outer_vlan_type = 0x88A8; }));
  const auto functions_refused = test::set_functions(*physical, 2);
  ASSERT_FALSE(functions_refused);
  EXPECT_EQ(functions_refused.error().code, ErrorCode::bad_state);
  EXPECT_THAT(functions_refused.error().hint, HasSubstr("outer_vlan_type"));
}

INSTANTIATE_TEST_SUITE_P(Cards, FunctionTraffic, kCardsWithFunctions, name_of_card);

}  // namespace
}  // namespace pollux::drivers
