// SPDX-License-Identifier: BSD-3-Clause
// A virtual function that is suspended and resumed, or detached and attached, has all its settings again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <iterator>

#include "support/settings_edits.hpp"
#include "unit/igbvf/physical_and_virtual.hpp"

namespace pollux::drivers {
namespace {

class FunctionRecovery : public PhysicalAndVirtual {
 protected:
  static constexpr MacAddress kGroup{0x01, 0x00, 0x5E, 0x00, 0x00, 0x07};

  void SetUp() override {
    PhysicalAndVirtual::SetUp();
    first.emplace(opened("sim:0.vf0"));
    ASSERT_TRUE(served([&] { return first->change([&](Settings& settings) { settings.multicast = {kGroup}; }); }));
    ASSERT_TRUE(served([&] { return first->change(test::with_vlan(9)); }));
    ASSERT_TRUE(served([&] { return test::set_mtu(*first, 1600); }));
  }
  void expect_settings() {
    ASSERT_EQ(first->state(), PortState::started);
    EXPECT_EQ(first->mac(), kFirst);
    EXPECT_EQ(first->settings().mtu, 1600U);
    test::Frame tagged = frame(kFirst, partner->mac());
    const std::byte tag[]{std::byte{0x81}, std::byte{0x00}, std::byte{0x00}, std::byte{0x09}};
    tagged.insert(tagged.begin() + 12, std::begin(tag), std::end(tag));
    const test::Frame group = frame(kGroup, partner->mac());
    test::Frame longest = frame(kFirst, partner->mac());
    longest.resize(1614);
    for (const test::Frame& in : {tagged, group, longest}) {
      transmit(*partner, in);
      EXPECT_THAT(received(*first), testing::SizeIs(1));
    }
    const test::Frame out = frame(partner->mac(), kFirst);
    transmit(*first, out);
    EXPECT_THAT(received(*partner), testing::ElementsAre(out));
  }
  [[nodiscard]] Result<void> attach(const std::string& uri = "sim:0.vf0") {
    auto device = open_device(context, uri);
    EXPECT_TRUE(device) << device.error().message();
    return served([&] { return first->attach(*std::move(device)); });
  }
};

TEST_F(FunctionRecovery, SuspendedAndResumed) {
  ASSERT_TRUE(test::set_mtu(*partner, 1600));
  ASSERT_TRUE(first->suspend());
  EXPECT_TRUE(first->service());
  transmit(*partner, frame(kFirst, partner->mac()));
  EXPECT_THAT(received(*first), testing::IsEmpty());
  const auto resumed = served([&] { return first->resume(); });
  ASSERT_TRUE(resumed) << resumed.error().message();
  expect_settings();
}

// The way out after the physical function was reset.
TEST_F(FunctionRecovery, AttachedAgainAfterAResetOfThePhysicalFunction) {
  transmit(*partner, frame(kFirst, partner->mac()));
  ASSERT_TRUE(physical->stop());
  EXPECT_FALSE(first->service());
  ASSERT_EQ(first->state(), PortState::failed);
  const auto detached = first->detach();
  ASSERT_TRUE(detached) << detached.error().message();
  const auto refused = attach();
  ASSERT_FALSE(refused) << "the physical function is down";
  EXPECT_EQ(first->state(), PortState::detached);
  ASSERT_TRUE(physical->start());
  clock->advance(3s);
  ASSERT_TRUE(physical->service());
  const auto attached = attach();
  ASSERT_TRUE(attached) << attached.error().message();
  EXPECT_EQ(first->stats().rx_packets, 1U) << "counters go on";
  expect_settings();
}

TEST_F(FunctionRecovery, AnAddressOfItsOwnIsKept) {
  ASSERT_TRUE(test::set_function(*physical, 1, {}));
  ASSERT_TRUE(functions->reset_function(1));
  second.emplace(opened("sim:0.vf1"));
  ASSERT_TRUE(test::set_function(*physical, 1, {.mac = std::nullopt}));
  const MacAddress own = second->mac();
  ASSERT_TRUE(second->detach());
  auto device = open_device(context, "sim:0.vf1");
  ASSERT_TRUE(device);
  ASSERT_TRUE(served([&] { return second->attach(*std::move(device)); }));
  EXPECT_EQ(second->mac(), own);
}

TEST_F(FunctionRecovery, AnotherKindOfCardIsRefused) {
  ASSERT_TRUE(first->detach());
  EXPECT_EQ(attach("sim:4").error().code, ErrorCode::not_supported);
  EXPECT_EQ(first->state(), PortState::detached);
  ASSERT_TRUE(attach());
  expect_settings();
}

}  // namespace
}  // namespace pollux::drivers
