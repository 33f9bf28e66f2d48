// SPDX-License-Identifier: BSD-3-Clause
// Which VLANs a port receives, and stripped tags. metadata_test.cpp has tags in each burst mode.
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "pollux/net/rx_metadata.hpp"
#include "support/fixture.hpp"
#include "support/settings_edits.hpp"

namespace pollux::test {
namespace {

namespace reg = hw::igb;

Frame with_tag(Frame frame, std::uint16_t type, std::uint16_t tag) {
  const std::array<std::byte, 4> inserted{static_cast<std::byte>(type >> 8), static_cast<std::byte>(type & 0xFF),
                                          static_cast<std::byte>(tag >> 8), static_cast<std::byte>(tag & 0xFF)};
  frame.insert(frame.begin() + 12, inserted.begin(), inserted.end());
  return frame;
}

Frame tagged(std::uint16_t tag, std::size_t bytes = 64) { return with_tag(counting_frame(bytes), 0x8100, tag); }
Frame twice_tagged(std::uint16_t outer, std::uint16_t inner, std::size_t bytes = 64) {
  return with_tag(tagged(inner, bytes), 0x88A8, outer);
}

class Vlan : public testing::Test {
 protected:
  [[nodiscard]] std::vector<Frame> received(const std::vector<Frame>& frames) {
    for (const Frame& frame : frames) fixture_.inject(frame);
    return fixture_.receive_all();
  }
  [[nodiscard]] Result<void> receive(std::uint16_t vlan, bool on) { return fixture_.port.change(with_vlan(vlan, on)); }

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
  ASSERT_TRUE(set_promiscuous(fixture_.port, true));
  EXPECT_EQ(received({tagged(99), tagged(100)}), std::vector<Frame>{tagged(100)});
  ASSERT_TRUE(fixture_.port.stop());
  ASSERT_TRUE(receive(99, true));  // on a stopped port
  ASSERT_TRUE(receive(100, false));
  ASSERT_TRUE(fixture_.port.start());
  ASSERT_TRUE(fixture_.port.wait_for_link(std::chrono::seconds(5)));
  EXPECT_EQ(received({tagged(99), tagged(100)}), std::vector<Frame>{tagged(99)});
}

TEST_F(Vlan, NumbersThatAreNoVlanAreRejected) {
  const auto refused = receive(4095, true);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
  EXPECT_THROW(static_cast<void>(receive(0xFFFF, true)), std::out_of_range) << "an edit may throw";
  EXPECT_EQ(received({tagged(8)}), std::vector<Frame>{tagged(8)}) << "a rejected call must not turn the filter on";
}

TEST_F(Vlan, TagsAreStrippedWhileThatIsOn) {
  const auto strip = [&](bool on) {
    return fixture_.port.change([&](Settings& settings) { settings.vlan_stripping = on; });
  };
  EXPECT_FALSE(fixture_.port.settings().vlan_stripping);
  ASSERT_TRUE(strip(true));
  EXPECT_TRUE(fixture_.port.settings().vlan_stripping);
  EXPECT_TRUE(fixture_.port.offloads().reports(RxOffload::vlan));
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

class OuterVlan : public Vlan {
 protected:
  [[nodiscard]] Result<void> set(std::optional<std::uint16_t> type) {
    return fixture_.port.change([&](Settings& settings) { settings.outer_vlan_type = type; });
  }
  [[nodiscard]] std::optional<std::uint16_t> type() { return fixture_.port.settings().outer_vlan_type; }
  void restart() {
    ASSERT_TRUE(fixture_.port.stop());
    ASSERT_TRUE(fixture_.port.start());
    ASSERT_TRUE(fixture_.port.wait_for_link(std::chrono::seconds(5)));
  }
};

TEST_F(OuterVlan, TheInnerTagIsFiltered) {
  ASSERT_TRUE(receive(7, true));
  const std::vector<Frame> all{twice_tagged(7, 8), twice_tagged(8, 7), with_tag(untagged_, 0x88A8, 9), tagged(8)};
  // Without the mode the type 0x88A8 is not that of a tag.
  EXPECT_EQ(received(all), (std::vector<Frame>{all[0], all[1], all[2]}));
  ASSERT_TRUE(set(0x88A8));
  EXPECT_EQ(type(), 0x88A8);
  // A frame with the outer tag alone has no VLAN. A frame without the outer tag is not filtered.
  EXPECT_EQ(received(all), (std::vector<Frame>{all[1], all[2], all[3]}));
  restart();
  EXPECT_EQ(received(all), (std::vector<Frame>{all[1], all[2], all[3]}));
  ASSERT_TRUE(set(std::nullopt));
  EXPECT_EQ(type(), std::nullopt);
  EXPECT_EQ(received(all), (std::vector<Frame>{all[0], all[1], all[2]}));
}

TEST_F(OuterVlan, TheInnerTagIsStripped) {
  ASSERT_TRUE(fixture_.port.change([](Settings& settings) { settings.vlan_stripping = true; }));
  ASSERT_TRUE(fixture_.port.stop());
  ASSERT_TRUE(set(0x9100));  // on a stopped port
  ASSERT_TRUE(fixture_.port.start());
  ASSERT_TRUE(fixture_.port.wait_for_link(std::chrono::seconds(5)));
  const Frame outer = with_tag(counting_frame(64), 0x9100, 5);
  fixture_.inject(with_tag(tagged(0xA123), 0x9100, 5));
  fixture_.inject(outer);
  fixture_.inject(tagged(6));
  Burst<32> burst = fixture_.rx_burst();
  ASSERT_EQ(burst.size(), 3u);
  EXPECT_EQ(content(burst[0]), outer);
  EXPECT_EQ(RxMetadata(burst[0]).vlan(), 0xA123);
  EXPECT_EQ(content(burst[1]), outer);
  EXPECT_EQ(RxMetadata(burst[1]).vlan(), std::nullopt);
  EXPECT_EQ(content(burst[2]), tagged(6));
  EXPECT_EQ(RxMetadata(burst[2]).vlan(), std::nullopt);
}

// The two tags come on top of the MTU, as one tag does.
TEST_F(OuterVlan, TheLongestFrameHasBothTags) {
  const auto limit = [&] { return fixture_.card.value<reg::RLPML>().get(reg::RLPML::LENGTH); };
  const std::uint32_t one_tag = limit();
  ASSERT_TRUE(set(0x88A8));
  EXPECT_EQ(limit(), one_tag + 4);
  const Frame longest = twice_tagged(1, 2, 1514);
  EXPECT_EQ(received({longest, twice_tagged(1, 2, 1515)}), std::vector<Frame>{longest});
  ASSERT_TRUE(set_mtu(fixture_.port, 2000));
  EXPECT_EQ(limit(), 2000u + 14 + 8 + 4);
  ASSERT_TRUE(set_mtu(fixture_.port, fixture_.port.info().limits.max_mtu));
  EXPECT_EQ(limit(), 9728u) << "the card's longest frame";
  ASSERT_TRUE(set_mtu(fixture_.port, 2000));
  ASSERT_TRUE(set(std::nullopt));
  EXPECT_EQ(limit(), 2000u + 14 + 4 + 4);
}

TEST_F(OuterVlan, TypesThatAreNoTagsAreRejected) {
  for (const std::uint16_t bad :
       {std::uint16_t{0}, std::uint16_t{0x05FF}, std::uint16_t{0x0800}, std::uint16_t{0x86DD}}) {
    const auto refused = set(bad);
    ASSERT_FALSE(refused) << bad;
    EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
  }
  EXPECT_EQ(type(), std::nullopt);
  ASSERT_TRUE(fixture_.port.close());
  EXPECT_EQ(fixture_.port.change([](Settings& settings) { settings.outer_vlan_type = 0x88A8; }).error().code,
            ErrorCode::bad_state);
}

/// Without a link the card sends nothing, so a frame in the ring waits for the tag that the card is to insert.
class WaitingTags : public OuterVlan {
 protected:
  void SetUp() override {
    ASSERT_TRUE(strip(true));
    fixture_.wire->set_carrier(false);
    fixture_.sent.clear();
  }
  [[nodiscard]] Result<void> strip(bool on) {
    return fixture_.port.change([&](Settings& settings) { settings.vlan_stripping = on; });
  }
  [[nodiscard]] bool send_tagged(std::uint16_t tag) {
    MbufPtr mbuf = fixture_.make_mbuf(untagged_);
    mbuf->set_tx_offload({.flags = TxOffload::insert_vlan, .vlan = tag});
    Burst<1> burst;
    return burst.push(mbuf) && fixture_.port.tx(0).tx_burst(burst) == 1;
  }
  void expect_timeout(const Result<void>& changed) {
    ASSERT_FALSE(changed);
    EXPECT_EQ(changed.error().code, ErrorCode::timeout);
    EXPECT_NE(changed.error().message().find("whose VLAN tags the card inserts"), std::string::npos);
  }
  void plug_in() {
    fixture_.wire->set_carrier(true);
    ASSERT_TRUE(fixture_.port.wait_for_link(std::chrono::seconds(5)));
    fixture_.clock->advance(std::chrono::milliseconds(1));
  }
};

TEST_F(WaitingTags, AChangeTimesOutAndChangesNothing) {
  ASSERT_TRUE(send_tagged(0xA001));
  expect_timeout(strip(false));
  expect_timeout(set(0x88A8));
  EXPECT_TRUE(fixture_.port.settings().vlan_stripping);
  EXPECT_EQ(type(), std::nullopt);
  EXPECT_TRUE(fixture_.card.value<reg::CTRL>().has(reg::CTRL::VME));
  EXPECT_FALSE(fixture_.card.value<reg::CTRL_EXT>().has(reg::CTRL_EXT::EXT_VLAN));
  EXPECT_TRUE(fixture_.port.offloads().reports(RxOffload::vlan));
  EXPECT_EQ(fixture_.port.state(), PortState::started);
  ASSERT_TRUE(send_tagged(0xA002)) << "the queue is open again";
  EXPECT_TRUE(fixture_.sent.empty());
  plug_in();
  EXPECT_EQ(fixture_.sent, (std::vector<Frame>{tagged(0xA001), tagged(0xA002)}));
  EXPECT_EQ(received({tagged(0xA123)}), std::vector<Frame>{untagged_}) << "still stripped";
  ASSERT_TRUE(send_tagged(0xA003));
  EXPECT_EQ(fixture_.sent.back(), tagged(0xA003));
  // Now nothing waits.
  fixture_.clock->advance(std::chrono::milliseconds(1));
  ASSERT_TRUE(strip(false));
  EXPECT_FALSE(fixture_.card.value<reg::CTRL>().has(reg::CTRL::VME));
  ASSERT_TRUE(send_tagged(0xA004));
  EXPECT_EQ(fixture_.sent.back(), tagged(0xA004)) << "by software";
  EXPECT_EQ(received({tagged(0xA123)}), std::vector<Frame>{tagged(0xA123)});
}

// With tags that software has inserted none waits.
TEST_F(WaitingTags, SoftwareLeavesNoneToWait) {
  fixture_.wire->set_carrier(true);
  ASSERT_TRUE(fixture_.port.wait_for_link(std::chrono::seconds(5)));
  ASSERT_TRUE(strip(false));
  fixture_.wire->set_carrier(false);
  ASSERT_TRUE(send_tagged(0xA001));
  ASSERT_TRUE(strip(true));
  ASSERT_TRUE(send_tagged(0xA002));
  plug_in();
  EXPECT_EQ(fixture_.sent, (std::vector<Frame>{tagged(0xA001), tagged(0xA002)}));
}

TEST_F(Vlan, AClosedPortRejectsSettings) {
  ASSERT_TRUE(fixture_.port.close());
  EXPECT_EQ(fixture_.port.change(test::with_vlan(1)).error().code, ErrorCode::bad_state);
  EXPECT_EQ(fixture_.port.change([](Settings& settings) { settings.vlan_stripping = true; }).error().code,
            ErrorCode::bad_state);
}

}  // namespace
}  // namespace pollux::test
