// SPDX-License-Identifier: BSD-3-Clause
// Which VLANs a port receives, and stripped tags. metadata_test.cpp has tags in each burst mode.
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <vector>

#include "pollux/net/frame_filters.hpp"
#include "pollux/net/rx_metadata.hpp"
#include "support/fixture.hpp"

namespace pollux::test {
namespace {

namespace reg = hw::igb;

Frame tagged(std::uint16_t tag, std::size_t bytes = 64) {
  Frame frame = counting_frame(bytes);
  const std::array<std::byte, 4> inserted{std::byte{0x81}, std::byte{0x00}, static_cast<std::byte>(tag >> 8),
                                          static_cast<std::byte>(tag & 0xFF)};
  frame.insert(frame.begin() + 12, inserted.begin(), inserted.end());
  return frame;
}

class Vlan : public testing::Test {
 protected:
  [[nodiscard]] std::vector<Frame> received(const std::vector<Frame>& frames) {
    for (const Frame& frame : frames) fixture_.inject(frame);
    return fixture_.receive_all();
  }
  [[nodiscard]] Result<void> receive(std::uint16_t vlan, bool on) {
    return fixture_.port.capability<VlanFilter>()->set_vlan(vlan, on);
  }

  CardFixture fixture_;
  const Frame untagged_ = counting_frame(64);
  const Frame priority_ = tagged(0xE000);
};

TEST_F(Vlan, AllAreReceivedUntilOneIsRequested) {
  const std::vector<Frame> all{untagged_, priority_, tagged(1), tagged(7), tagged(4094)};
  EXPECT_EQ(received(all), all);
  ASSERT_TRUE(receive(7, true));
  EXPECT_EQ(received(all), (std::vector<Frame>{untagged_, priority_, tagged(7)}));
  ASSERT_TRUE(receive(4094, true));
  EXPECT_EQ(received(all), (std::vector<Frame>{untagged_, priority_, tagged(7), tagged(4094)}));
  ASSERT_TRUE(receive(7, false));
  ASSERT_TRUE(receive(4094, false));
  EXPECT_EQ(received(all), (std::vector<Frame>{untagged_, priority_}));
}

TEST_F(Vlan, TheFilterOutlivesAResetAndPromiscuousMode) {
  ASSERT_TRUE(receive(100, true));
  ASSERT_TRUE(fixture_.port.set_promiscuous(true));
  EXPECT_EQ(received({tagged(99), tagged(100)}), std::vector<Frame>{tagged(100)});
  ASSERT_TRUE(fixture_.port.stop());
  ASSERT_TRUE(receive(99, true));  // on a stopped port
  ASSERT_TRUE(receive(100, false));
  ASSERT_TRUE(fixture_.port.start());
  ASSERT_TRUE(fixture_.port.wait_for_link(std::chrono::seconds(5)));
  EXPECT_EQ(received({tagged(99), tagged(100)}), std::vector<Frame>{tagged(99)});
}

TEST_F(Vlan, NumbersThatAreNoVlanAreRejected) {
  for (const std::uint16_t bad : {std::uint16_t{0}, std::uint16_t{4095}, std::uint16_t{0xFFFF}}) {
    const auto refused = receive(bad, true);
    ASSERT_FALSE(refused) << bad;
    EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
  }
  EXPECT_EQ(received({tagged(8)}), std::vector<Frame>{tagged(8)}) << "a rejected call must not turn the filter on";
}

TEST_F(Vlan, TagsAreStrippedWhileThatIsOn) {
  const auto strip = [&](bool on) { return fixture_.port.capability<VlanStripping>()->set_vlan_stripping(on); };
  EXPECT_FALSE(fixture_.port.capability<VlanStripping>()->vlan_stripping());
  ASSERT_TRUE(strip(true));
  EXPECT_TRUE(fixture_.port.capability<VlanStripping>()->vlan_stripping());
  EXPECT_TRUE((fixture_.port.offloads().rx_flags & RxOffload::vlan) != 0);
  ASSERT_TRUE(fixture_.port.stop());
  ASSERT_TRUE(fixture_.port.start());
  ASSERT_TRUE(fixture_.port.wait_for_link(std::chrono::seconds(5)));
  fixture_.inject(tagged(0xA123));
  fixture_.inject(untagged_);
  Burst<32> burst = fixture_.rx_burst();
  ASSERT_EQ(burst.size(), 2u);
  EXPECT_EQ(content(burst[0]), counting_frame(64));
  EXPECT_EQ(RxMetadata(burst[0]).vlan(), 0xA123);
  EXPECT_EQ(RxMetadata(burst[1]).vlan(), std::nullopt);
  burst = {};
  ASSERT_TRUE(strip(false));
  EXPECT_EQ(received({tagged(0xA123)}), std::vector<Frame>{tagged(0xA123)});
}

TEST_F(Vlan, AClosedPortRejectsSettings) {
  auto filter = fixture_.port.capability<VlanFilter>();
  auto strip = fixture_.port.capability<VlanStripping>();
  ASSERT_TRUE(fixture_.port.close());
  EXPECT_EQ(filter->set_vlan(1, true).error().code, ErrorCode::bad_state);
  EXPECT_EQ(strip->set_vlan_stripping(true).error().code, ErrorCode::bad_state);
}

}  // namespace
}  // namespace pollux::test
