// SPDX-License-Identifier: BSD-3-Clause
// Which unicast addresses and multicast groups a port receives besides its own address.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "hw/intel/igb/registers.hpp"
#include "pollux/net/queue_pools.hpp"
#include "support/fixture.hpp"

namespace pollux::test {
namespace {

MacAddress unicast(std::uint8_t last) { return {0x02, 0x11, 0x22, 0x33, 0x44, last}; }
/// Groups with equal `hash` (below 0x1000) share a bit of the card's table.
MacAddress group(std::uint16_t hash, std::uint8_t other = 0) {
  return {0x01, 0x00, 0x5E, other, static_cast<std::uint8_t>(hash << 4), static_cast<std::uint8_t>(hash >> 4)};
}

Frame frame_to(const MacAddress& address) {
  Frame frame = counting_frame(64);
  std::transform(address.begin(), address.end(), frame.begin(), [](std::uint8_t byte) { return std::byte{byte}; });
  return frame;
}

std::vector<MacAddress> unicasts(std::size_t count) {
  std::vector<MacAddress> all;
  for (std::size_t i = 0; i < count; ++i) all.push_back(unicast(static_cast<std::uint8_t>(i)));
  return all;
}

std::vector<MacAddress> groups(std::size_t count) {
  std::vector<MacAddress> all;
  for (std::size_t i = 0; i < count; ++i) all.push_back(group(static_cast<std::uint16_t>(i)));
  return all;
}

class AddressFilters : public testing::Test {
 protected:
  [[nodiscard]] bool receives(const MacAddress& address) {
    fixture_.inject(frame_to(address));
    const std::vector<Frame> frames = fixture_.receive_all();
    EXPECT_LE(frames.size(), 1U);
    return frames == std::vector<Frame>{frame_to(address)};
  }
  [[nodiscard]] Result<void> set_unicast(const std::vector<MacAddress>& all) {
    return fixture_.port.change([&](Settings& settings) { settings.unicast = all; });
  }
  [[nodiscard]] Result<void> set_multicast(const std::vector<MacAddress>& all) {
    return fixture_.port.change([&](Settings& settings) { settings.multicast = all; });
  }
  void restart() {
    ASSERT_TRUE(fixture_.port.stop());
    ASSERT_TRUE(fixture_.port.start());
    ASSERT_TRUE(fixture_.port.wait_for_link(std::chrono::seconds(5)));
  }

  CardFixture fixture_;
};

TEST_F(AddressFilters, FurtherUnicastAddressesAreReceived) {
  EXPECT_FALSE(receives(unicast(1)));
  ASSERT_TRUE(set_unicast({unicast(1), unicast(2)}));
  EXPECT_TRUE(receives(unicast(1)) && receives(unicast(2)));
  EXPECT_FALSE(receives(unicast(3)));
  EXPECT_TRUE(receives(fixture_.port.mac()));
  ASSERT_TRUE(set_unicast({unicast(3), unicast(2)}));
  EXPECT_EQ(fixture_.port.settings().unicast, (std::vector{unicast(2), unicast(3)}));
  EXPECT_TRUE(receives(unicast(2)) && receives(unicast(3)));
  EXPECT_FALSE(receives(unicast(1)));
  ASSERT_TRUE(set_unicast({}));
  EXPECT_FALSE(receives(unicast(2)) || receives(unicast(3)));
  EXPECT_TRUE(receives(fixture_.port.mac()));
}

TEST_F(AddressFilters, AllReceiveAddressesAreUsable) {
  const std::size_t most = fixture_.port.info().limits.max_unicast;
  EXPECT_EQ(most, 23U);
  ASSERT_TRUE(set_unicast(unicasts(most)));
  for (const MacAddress& address : unicasts(most)) EXPECT_TRUE(receives(address)) << to_string(address);
  const auto refused = set_unicast(unicasts(most + 1));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
  EXPECT_NE(refused.error().hint.find("promiscuous"), std::string::npos) << refused.error().hint;
  EXPECT_EQ(fixture_.port.settings().unicast, unicasts(most)) << "a refused list changes nothing";
}

// A receive address that is rewritten misses frames meanwhile.
TEST_F(AddressFilters, KeepTheirPlaceAsLongAsTheyAreSet) {
  ASSERT_TRUE(set_unicast({unicast(1), unicast(2), unicast(3)}));
  const auto placed = [this] {
    std::map<std::uint32_t, MacAddress> addresses;
    for (std::uint32_t index = 1; index < hw::igb::RAL::kCount; ++index) {
      const auto low = fixture_.card.value<hw::igb::RAL>(index).raw();
      const auto high = fixture_.card.value<hw::igb::RAH>(index);
      if (!high.has(hw::igb::RAH::AV)) continue;
      std::array<std::uint32_t, 2> words{low, high.raw()};
      std::memcpy(addresses[index].data(), words.data(), sizeof(MacAddress));
    }
    return addresses;
  };
  const auto before = placed();
  ASSERT_EQ(before.size(), 3U);
  std::vector<std::uint32_t> written;
  fixture_.card.with([&](models::igb::Card& card) {
    card.registers().on_write<hw::igb::RAL>([&](std::uint32_t index, std::uint32_t) { written.push_back(index); });
    return 0;
  });
  ASSERT_TRUE(set_unicast({unicast(3), unicast(9), unicast(2)}));
  const auto after = placed();
  for (const auto& [index, address] : before) {
    if (address == unicast(1)) continue;
    EXPECT_EQ(after.at(index), address);
    EXPECT_EQ(std::count(written.begin(), written.end(), index), 0);
  }
  EXPECT_EQ(after.size(), 3U);
  ASSERT_TRUE(set_unicast({unicast(9)}));
  EXPECT_EQ(placed().begin()->second, unicast(9));
}

TEST_F(AddressFilters, GroupsThatFitAreComparedExactly) {
  ASSERT_TRUE(set_multicast({group(5), group(6)}));
  EXPECT_TRUE(receives(group(5)) && receives(group(6)));
  EXPECT_FALSE(receives(group(5, 1))) << "the same hash, another group";
  ASSERT_TRUE(set_multicast({group(6)}));
  EXPECT_FALSE(receives(group(5)));
  EXPECT_TRUE(receives(group(6)));
}

TEST_F(AddressFilters, MoreGroupsPassByTheirHash) {
  ASSERT_TRUE(set_multicast(groups(24)));
  for (const MacAddress& each : groups(24)) EXPECT_TRUE(receives(each)) << to_string(each);
  EXPECT_TRUE(receives(group(5, 1))) << "the same hash, another group";
  EXPECT_FALSE(receives(group(24)));
  ASSERT_TRUE(set_multicast(groups(23)));
  EXPECT_FALSE(receives(group(5, 1))) << "exact again";
  EXPECT_TRUE(receives(group(22)));
}

// Hash values of the whole range, with each bit of the twelve.
TEST_F(AddressFilters, TheHashIsTheOneThatTheCardComputes) {
  std::vector<MacAddress> all = groups(24);
  for (unsigned bit = 0; bit < 12; ++bit) all.push_back(group(static_cast<std::uint16_t>(0x1000 - (1U << bit)), 3));
  ASSERT_TRUE(set_multicast(all));
  for (const MacAddress& each : all) EXPECT_TRUE(receives(each)) << to_string(each);
}

TEST_F(AddressFilters, UnicastAddressesTakeTheRoomOfGroups) {
  ASSERT_TRUE(set_multicast(groups(20)));
  EXPECT_FALSE(receives(group(5, 1)));
  ASSERT_TRUE(set_unicast(unicasts(4)));
  for (const MacAddress& each : groups(20)) EXPECT_TRUE(receives(each)) << to_string(each);
  EXPECT_TRUE(receives(unicast(3)));
  EXPECT_TRUE(receives(group(5, 1))) << "24 do not fit into 23, so that groups pass by their hash";
  ASSERT_TRUE(set_unicast({}));
  EXPECT_FALSE(receives(group(5, 1)));
}

TEST_F(AddressFilters, OutliveARestartAndASettingOfAStoppedPort) {
  ASSERT_TRUE(set_unicast({unicast(1)}));
  ASSERT_TRUE(set_multicast(groups(30)));
  restart();
  EXPECT_TRUE(receives(unicast(1)) && receives(group(29)));
  ASSERT_TRUE(fixture_.port.stop());
  ASSERT_TRUE(set_unicast({unicast(2)}));
  ASSERT_TRUE(set_multicast({group(7)}));
  ASSERT_TRUE(fixture_.port.start());
  ASSERT_TRUE(fixture_.port.wait_for_link(std::chrono::seconds(5)));
  EXPECT_TRUE(receives(unicast(2)) && receives(group(7)));
  EXPECT_FALSE(receives(unicast(1)) || receives(group(29)));
}

TEST_F(AddressFilters, WrongAddressesAreRejectedWhole) {
  for (const std::vector<MacAddress>& wrong :
       {std::vector{unicast(1), group(1)}, {unicast(1), MacAddress{}}, {unicast(1), unicast(1)}}) {
    const auto refused = set_unicast(wrong);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
    EXPECT_FALSE(receives(unicast(1)));
  }
  const auto refused = set_multicast({group(1), unicast(1)});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
  std::vector<MacAddress> groups;
  for (std::uint16_t number = 1; number <= 4097; ++number)
    groups.push_back(group(number % 4096, static_cast<std::uint8_t>(number / 4096)));
  EXPECT_FALSE(set_multicast(groups));
  EXPECT_FALSE(receives(group(1)));
}

TEST_F(AddressFilters, AreNotMixedWithPools) {
  const QueuePoolsConfig one{.pools = {{.addresses = {unicast(9)}}}};
  ASSERT_TRUE(set_unicast({unicast(1)}));
  ASSERT_TRUE(fixture_.port.stop());
  EXPECT_FALSE(fixture_.port.change([&](Settings& settings) { settings.pools = one; }));
  ASSERT_TRUE(set_unicast({}));
  ASSERT_TRUE(fixture_.port.change([&](Settings& settings) { settings.pools = one; }));
  for (const auto& refused : {set_unicast({unicast(1)}), set_multicast({group(1)})}) {
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::bad_state);
    EXPECT_NE(refused.error().what.find("QueuePool::addresses"), std::string::npos) << refused.error().what;
  }
}

TEST_F(AddressFilters, OfAClosedPortAreRejected) {
  ASSERT_TRUE(fixture_.port.close());
  const auto refused = fixture_.port.change([](Settings& settings) { settings.unicast = {}; });
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::bad_state);
}

}  // namespace
}  // namespace pollux::test
