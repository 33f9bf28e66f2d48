// SPDX-License-Identifier: BSD-3-Clause
// The registers of the card after a port has been started.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <set>
#include <string_view>

#include "pollux/net/register_dump.hpp"
#include "support/settings_edits.hpp"
#include "unit/igb/fixture.hpp"

namespace pollux::drivers::igb {
namespace {

TEST(PortRegisters, RingsAndBuffers) {
  IgbFixture fixture({}, {.count = 1024, .data_room = 4096});
  Settings config = fixture.config();
  config.rx[0].ring = 256;
  config.tx[0].ring = 128;
  auto port = fixture.started(config);
  ASSERT_NE(port, nullptr);
  EXPECT_EQ(fixture.value<reg::RDLEN>(0).raw(), 256u * 16);
  EXPECT_EQ(fixture.value<reg::TDLEN>(0).raw(), 128u * 16);
  EXPECT_EQ(fixture.value<reg::RDBAL>(0).raw() % 128, 0u);
  EXPECT_EQ(fixture.value<reg::TDBAL>(0).raw() % 128, 0u);
  EXPECT_NE(fixture.value<reg::RDBAL>(0).raw(), fixture.value<reg::TDBAL>(0).raw());
  const auto srrctl = fixture.value<reg::SRRCTL>(0);
  EXPECT_TRUE(srrctl.has(reg::SRRCTL::ONE_BUFFER));
  EXPECT_EQ(srrctl.get(reg::SRRCTL::BSIZEPACKET), 4u);
  EXPECT_FALSE(srrctl.has(reg::SRRCTL::DROP_EN)) << "with one queue, frames may wait in the packet buffer";
  EXPECT_EQ(fixture.value<reg::RDT>(0).raw(), 255u);
  EXPECT_EQ(fixture.value<reg::TDT>(0).raw(), 0u);
  EXPECT_TRUE(fixture.value<reg::RXDCTL>(0).has(reg::RXDCTL::ENABLE | reg::RXDCTL::WTHRESH(1)));
  EXPECT_TRUE(fixture.value<reg::TXDCTL>(0).has(reg::TXDCTL::ENABLE | reg::TXDCTL::WTHRESH(1)));
  EXPECT_FALSE(fixture.value<reg::RXDCTL>(1).has(reg::RXDCTL::ENABLE));
  EXPECT_FALSE(fixture.value<reg::TXDCTL>(1).has(reg::TXDCTL::ENABLE));
}

TEST(PortRegisters, NoTailIsWrittenBeforeItsQueueIsEnabled) {  // [I-RDT]
  IgbFixture fixture;
  Settings config = fixture.config();
  config.rx.resize(2, config.rx[0]);
  auto port = fixture.started(config);
  ASSERT_NE(port, nullptr);
  fixture.with_card([](models::igb::Card& card) {
    for (std::uint32_t queue = 0; queue < 2; ++queue) {
      EXPECT_NE(card.receiver().queue(queue).armed(), 0u);
      EXPECT_EQ(card.receiver().queue(queue).early_tails(), 0u);
    }
  });
}

TEST(PortRegisters, NoReceiveQueueIsEnabledIfNoneIsConfigured) {
  IgbFixture fixture;
  auto port = fixture.open();
  ASSERT_TRUE(test::configure_port(*port, {.rx = {}}));
  ASSERT_TRUE(port->start());
  EXPECT_FALSE(fixture.value<reg::RXDCTL>(0).has(reg::RXDCTL::ENABLE));
  EXPECT_FALSE(fixture.value<reg::RCTL>().has(reg::RCTL::RXEN));
  EXPECT_TRUE(fixture.value<reg::TXDCTL>(0).has(reg::TXDCTL::ENABLE));
  EXPECT_TRUE(port->stop());
}

TEST(PortRegisters, ReceiveControlFollowsTheConfiguration) {
  for (const bool promiscuous : {false, true}) {
    for (const bool all_multicast : {false, true}) {
      IgbFixture fixture;
      Settings config = fixture.config();
      config.promiscuous = promiscuous;
      config.all_multicast = all_multicast;
      config.mtu = 3000;
      auto port = fixture.started(config);
      ASSERT_NE(port, nullptr);
      const auto rctl = fixture.value<reg::RCTL>();
      EXPECT_TRUE(rctl.has(reg::RCTL::RXEN | reg::RCTL::BAM | reg::RCTL::LPE | reg::RCTL::SECRC));
      EXPECT_FALSE(rctl.has_any(reg::RCTL::SBP | reg::RCTL::VFE));
      EXPECT_TRUE(fixture.value<reg::RFCTL>().has(reg::RFCTL::IPV6_EX_DIS));
      EXPECT_EQ(rctl.has(reg::RCTL::UPE), promiscuous);
      EXPECT_EQ(rctl.has(reg::RCTL::MPE), promiscuous || all_multicast);
      EXPECT_EQ(fixture.value<reg::RLPML>().raw(), 3022u);
    }
  }
}

TEST(PortRegisters, SettersChangeARunningCard) {
  IgbFixture fixture;
  auto port = fixture.started();
  ASSERT_NE(port, nullptr);
  ASSERT_TRUE(test::set_promiscuous(*port, true));
  EXPECT_TRUE(fixture.value<reg::RCTL>().has(reg::RCTL::UPE | reg::RCTL::MPE));
  ASSERT_TRUE(test::set_promiscuous(*port, false));
  EXPECT_FALSE(fixture.value<reg::RCTL>().has_any(reg::RCTL::UPE | reg::RCTL::MPE));
  ASSERT_TRUE(test::set_all_multicast(*port, true));
  EXPECT_TRUE(fixture.value<reg::RCTL>().has(reg::RCTL::MPE | reg::RCTL::RXEN));
  ASSERT_TRUE(test::set_mtu(*port, 9000));
  EXPECT_EQ(port->settings().mtu, 9000u);
  EXPECT_EQ(fixture.value<reg::RLPML>().raw(), 9022u);
  ASSERT_TRUE(test::set_mac(*port, {0x02, 0x11, 0x22, 0x33, 0x44, 0x55}));
  EXPECT_EQ(fixture.value<reg::RAL>(0).raw(), 0x33221102u);
  EXPECT_EQ(fixture.value<reg::RAH>(0).raw(), 0x80005544u);
}

TEST(PortRegisters, SettersSurviveARestart) {
  IgbFixture fixture;
  auto port = fixture.started();
  ASSERT_NE(port, nullptr);
  ASSERT_TRUE(test::set_promiscuous(*port, true));
  ASSERT_TRUE(test::set_mtu(*port, 2000));
  ASSERT_TRUE(test::set_mac(*port, {0x02, 1, 2, 3, 4, 5}));
  ASSERT_TRUE(port->stop());
  ASSERT_TRUE(test::set_all_multicast(*port, true));
  ASSERT_TRUE(port->start());
  EXPECT_TRUE(fixture.value<reg::RCTL>().has(reg::RCTL::UPE | reg::RCTL::MPE));
  EXPECT_EQ(fixture.value<reg::RLPML>().raw(), 2022u);
  EXPECT_EQ(fixture.value<reg::RAL>(0).raw(), 0x03020102u);
}

TEST(PortRegisters, RejectedSettersChangeNothing) {
  IgbFixture fixture;
  auto port = fixture.started();
  ASSERT_NE(port, nullptr);
  const MacAddress before = port->mac();
  const std::size_t writes = fixture.faults->writes.size();
  EXPECT_EQ(test::set_mac(*port, {}).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(test::set_mac(*port, {1, 0, 0, 0, 0, 0}).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(test::set_mac(*port, {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(test::set_mtu(*port, 9707).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(test::set_mtu(*port, 67).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(port->mac(), before);
  EXPECT_EQ(port->settings().mtu, 1500u);
  EXPECT_EQ(fixture.faults->writes.size(), writes);
}

TEST(PortRegisters, ForeignFiltersAreCleared) {
  IgbFixture fixture;
  auto port = fixture.open();
  ASSERT_TRUE(test::configure_port(*port, fixture.config()));
  // On silicon, CTRL.RST does not clear the tables, which are memory. So the test writes other values into them.
  fixture.faults->on_read = [&, written = false](std::uint32_t offset) mutable -> std::optional<std::uint32_t> {
    if (!written && offset == reg::GCR::offset()) {
      written = true;
      fixture.with_card([](models::igb::Card& card) {
        card.registers().set<reg::MTA>(127, reg::MTA::Value(5));
        card.registers().set<reg::VFTA>(1, reg::VFTA::Value(5));
        card.registers().set<reg::UTA>(64, reg::UTA::Value(5));
        card.registers().set<reg::RAH>(23, reg::RAH::Value(0x80000001));
        return 0;
      });
    }
    return std::nullopt;
  };
  ASSERT_TRUE(port->start());
  EXPECT_EQ(fixture.value<reg::MTA>(127).raw(), 0u);
  EXPECT_EQ(fixture.value<reg::VFTA>(1).raw(), 0u);
  EXPECT_EQ(fixture.value<reg::UTA>(64).raw(), 0u);
  EXPECT_EQ(fixture.value<reg::RAH>(23).raw(), 0u);
  EXPECT_TRUE(fixture.value<reg::RAH>(0).has(reg::RAH::AV));
}

TEST(PortRegisters, SpreadsOverAllQueuesRoundRobin) {
  IgbFixture fixture({}, {.count = 4096});
  Settings config = fixture.config();
  config.rx.resize(5, config.rx[0]);
  auto port = fixture.started(config);
  ASSERT_NE(port, nullptr);
  EXPECT_TRUE(fixture.value<reg::MRQC>().has(reg::MRQC::RSS | reg::MRQC::TCP_IPV4 | reg::MRQC::IPV4 | reg::MRQC::IPV6));
  EXPECT_TRUE(fixture.value<reg::RXCSUM>().has(reg::RXCSUM::PCSD));
  for (std::uint32_t entry = 0; entry < 128; ++entry) {
    const auto word = fixture.value<reg::RETA>(entry / 4).raw();
    EXPECT_EQ(word >> (8 * (entry % 4)) & 0xFF, entry % 5);
  }
  EXPECT_EQ(fixture.value<reg::RSSRK>(0).raw(), 0xDA565A6Du);
  EXPECT_EQ(fixture.value<reg::RSSRK>(9).raw(), 0xFA01ACBEu);
  for (std::uint32_t queue = 0; queue < 5; ++queue)
    EXPECT_TRUE(fixture.value<reg::SRRCTL>(queue).has(reg::SRRCTL::DROP_EN));
}

TEST(PortRegisters, OnlyTheLinksInterruptIsUnmasked) {
  IgbFixture fixture;
  auto port = fixture.started();
  ASSERT_NE(port, nullptr);
  EXPECT_TRUE(port->service());
  EXPECT_EQ(fixture.value<reg::IMS>().raw(), reg::IMS::Value(reg::IMS::LSC).raw());
  EXPECT_EQ(fixture.value<reg::EIMS>().raw(), 1u);
  ASSERT_TRUE(port->stop());
  EXPECT_EQ(fixture.value<reg::IMS>().raw(), 0u);
  EXPECT_EQ(fixture.value<reg::EIMS>().raw(), 0u);
}

TEST(PortRegisters, InterruptsAreMaskedBeforeAReset) {
  IgbFixture fixture;
  auto port = fixture.open();
  ASSERT_NE(port, nullptr);
  bool masked = false;
  bool extended_masked = false;
  for (const auto& [offset, value] : fixture.faults->writes) {
    masked = masked || (offset == reg::IMC::offset() && value == ~0u);
    extended_masked = extended_masked || (offset == reg::EIMC::offset() && value == ~0u);
    if (offset == reg::CTRL::offset() && reg::CTRL::Value(value).has(reg::CTRL::RST)) break;
  }
  EXPECT_TRUE(masked);
  EXPECT_TRUE(extended_masked);
}

TEST(PortRegisters, StopDisablesQueuesAndMastering) {
  IgbFixture fixture;
  auto port = fixture.started();
  ASSERT_NE(port, nullptr);
  ASSERT_TRUE(port->stop());
  EXPECT_FALSE(fixture.value<reg::RCTL>().has(reg::RCTL::RXEN));
  EXPECT_FALSE(fixture.value<reg::TCTL>().has(reg::TCTL::EN));
  EXPECT_FALSE(fixture.value<reg::RXDCTL>(0).has(reg::RXDCTL::ENABLE));
  EXPECT_FALSE(fixture.value<reg::TXDCTL>(0).has(reg::TXDCTL::ENABLE));
  EXPECT_TRUE(fixture.value<reg::CTRL>().has(reg::CTRL::GIO_MASTER_DISABLE));
}

TEST(PortRegisters, DumpReadsWithoutSideEffects) {
  IgbFixture fixture;
  auto port = fixture.started();
  ASSERT_NE(port, nullptr);
  fixture.wire->inject(broadcast(64));
  std::set<std::uint32_t> read;
  fixture.faults->on_read = [&](std::uint32_t offset) -> std::optional<std::uint32_t> {
    read.insert(offset);
    return std::nullopt;
  };
  const auto values = port->capability<RegisterDump>()->registers();
  fixture.faults->on_read = nullptr;
  EXPECT_GT(values.size(), 500u);
  EXPECT_EQ(read.size(), values.size());
  for (const RegisterInfo& info : reg::kRegisters) {
    constexpr std::array<std::string_view, 5> kWithSideEffects{"SWSM", "RXSATRH", "RXSTMPH", "TXSTMPH", "VMBMEM"};
    const bool may_read = readable(info.access) && std::find(kWithSideEffects.begin(), kWithSideEffects.end(),
                                                             info.name) == kWithSideEffects.end();
    for (std::uint32_t i = 0; i < info.stride.count; ++i) {
      EXPECT_TRUE(may_read || !read.contains(info.at(i))) << info.name << " " << i;
    }
  }
  const auto tail =
      std::find_if(values.begin(), values.end(), [](const RegisterValue& v) { return v.name == "RDT[0]"; });
  ASSERT_NE(tail, values.end());
  EXPECT_EQ(tail->value, 63u);
  EXPECT_EQ(tail->offset, reg::RDT::offset(0));
  EXPECT_EQ(port->stats().rx_packets, 1u) << "the dump cleared a counter";
  ASSERT_TRUE(port->close());
  EXPECT_TRUE(port->capability<RegisterDump>()->registers().empty());
}

}  // namespace
}  // namespace pollux::drivers::igb
