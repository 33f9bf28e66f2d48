// SPDX-License-Identifier: BSD-3-Clause
// The driver on the in-process I350, I210 and I211: what their rows of traits say, and their errata.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "pollux/mem/mempool.hpp"
#include "pollux/net/flow/flow_rule.hpp"
#include "pollux/net/flow/match.hpp"
#include "pollux/net/frame_stamps.hpp"
#include "pollux/net/link_control.hpp"
#include "pollux/net/nvm.hpp"
#include "pollux/net/port_clock.hpp"
#include "pollux/net/rx_metadata.hpp"
#include "pollux/net/self_test.hpp"
#include "support/settings_edits.hpp"
#include "unit/igb/fixture.hpp"

namespace pollux::drivers::igb {
namespace {

using namespace std::chrono_literals;

constexpr std::uint16_t kI350 = 0x1521;
constexpr std::uint16_t kI210 = 0x1533;
constexpr std::uint16_t kFlashless = 0x157B;
constexpr std::uint16_t kI211 = 0x1539;

struct LaterCard : testing::TestWithParam<std::uint16_t> {
  /// The lengths of the frames that the port has then.
  [[nodiscard]] std::vector<std::size_t> received(PortMachine& port, const std::vector<std::byte>& frame) {
    fixture.wire->inject(frame);
    fixture.clock->advance(1ms);
    Burst<4> burst;
    port.rx_queue(0)->rx_burst(burst);
    std::vector<std::size_t> lengths;
    for (const Mbuf& mbuf : burst) lengths.push_back(mbuf.packet_length());
    return lengths;
  }

  IgbFixture fixture{{.device_id = GetParam()}};
};

TEST_P(LaterCard, StartsWithALinkAndReceives) {
  auto port = fixture.started();
  ASSERT_NE(port, nullptr);
  EXPECT_TRUE(port->link().up);
  EXPECT_EQ(port->link().speed, 1000U);
  EXPECT_EQ(port->mac(), (MacAddress{0x02, 0, 0, 0x82, 0x57, 0x60}));
  EXPECT_FALSE(fixture.has_logged("unknown PHY"));
  EXPECT_EQ(received(*port, broadcast(64)).size(), 1U);
  const auto details = port->capability<LinkControl>()->link_details();
  ASSERT_TRUE(details) << details.error().message();
  EXPECT_EQ(details->phy, GetParam() == kI350 ? "I350" : "I210");
  EXPECT_EQ(details->mdix, false);
  EXPECT_EQ(fixture.with_card([](models::igb::Card& card) { return card.registers().unknown_accesses(); }), 0U)
      << "the driver uses a register that the card lacks";
}

TEST_P(LaterCard, PassesTheSelfTest) {
  auto port = fixture.open();
  const auto results = port->capability<SelfTest>()->test_offline();
  ASSERT_TRUE(results) << results.error().message();
  for (const SelfTestResult& result : *results) {
    const bool absent = result.part == SelfTestPart::nvm && (GetParam() == kFlashless || GetParam() == kI211);
    EXPECT_EQ(result.outcome, absent ? SelfTestOutcome::skipped : SelfTestOutcome::passed)
        << to_string(result.part) << ": " << result.detail;
  }
}

TEST_P(LaterCard, HasTheQueuesOfItsRow) {
  auto port = fixture.open();
  EXPECT_EQ(port->info().limits.max_rx_queues, GetParam() == kI350 ? 8U : GetParam() == kI211 ? 2U : 4U);
  EXPECT_EQ(port->info().supports.test(Setting::pools), GetParam() == kI350);
  EXPECT_FALSE(port->info().supports.test(Setting::tx_rates));
  EXPECT_FALSE(port->info().supports.test(Setting::packet_buffers));
}

// E-VFTA: a single write of the table may be lost.
TEST_P(LaterCard, FiltersVlans) {
  auto port = fixture.started();
  ASSERT_TRUE(port->change([](Settings& settings) { settings.vlans.emplace().set(7); }));
  const auto tagged = [](unsigned vlan) {
    auto frame = broadcast(64);
    frame[12] = std::byte{0x81};
    frame[13] = std::byte{0};
    frame[14] = std::byte{0};
    frame[15] = static_cast<std::byte>(vlan);
    return frame;
  };
  EXPECT_EQ(received(*port, tagged(7)).size(), 1U);
  EXPECT_EQ(received(*port, tagged(8)).size(), 0U);
}

// DVMOLR has a bit of each queue besides RCTL.SECRC.
TEST_P(LaterCard, KeepsTheFcsIfAsked) {
  Settings config = fixture.config();
  config.keep_fcs = true;
  auto port = fixture.started(config);
  EXPECT_EQ(received(*port, broadcast(64)), std::vector<std::size_t>{68});
}

// E-RQDPC: on an I210 the counter is not cleared by a read.
TEST_P(LaterCard, CountsADropOnce) {
  Settings config = fixture.config();
  config.rx[0].drop_enable = true;
  auto port = fixture.started(config);
  for (int i = 0; i < 80; ++i) fixture.wire->inject(broadcast(64));
  fixture.clock->advance(1ms);
  ASSERT_TRUE(port->service());
  const std::uint64_t once = port->stats().rx_queues[0].missed_at_least;
  EXPECT_GT(once, 0U);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(port->service());
  EXPECT_EQ(port->stats().rx_queues[0].missed_at_least, once);
}

TEST_P(LaterCard, ClockCountsNanoseconds) {
  auto port = fixture.started();
  ASSERT_TRUE(test::run_clock(*port));
  auto* const clock = port->capability<PortClock>();
  const Time start = clock->time().value();
  // Beyond the wraps of 40 bits of nanoseconds, with the services that a port gets.
  for (int i = 0; i < 300; ++i) {
    fixture.clock->advance(10s);
    ASSERT_TRUE(port->service());
  }
  EXPECT_NEAR(static_cast<double>((clock->time().value() - start).count()), 3e12, 100);
  ASSERT_TRUE(test::run_clock(*port, -50'000));
  const Time before = clock->time().value();
  fixture.clock->advance(10s);
  EXPECT_NEAR(static_cast<double>((clock->time().value() - before).count()), 10e9 - 500'000, 100);
}

TEST_P(LaterCard, StampsPtpOverUdpByATwoTupleFilter) {
  auto port = fixture.started();
  ASSERT_TRUE(test::run_clock(*port));
  ASSERT_TRUE(port->change([](Settings& settings) { settings.stamps = {.receive = StampedMessages::ptp2_udp}; }));
  fixture.clock->advance(5s);
  std::vector<std::byte> frame = broadcast(14 + 20 + 8 + 44);
  const auto put = [&](std::size_t at, std::initializer_list<unsigned> bytes) {
    for (const unsigned byte : bytes) frame[at++] = static_cast<std::byte>(byte);
  };
  put(12, {0x08, 0x00, 0x45, 0, 0, 72, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 224, 0, 1, 129});
  put(34, {0x12, 0x34, 319 >> 8, 319 & 0xFF, 0, 52, 0, 0, 0x00, 0x02});
  const Time sent = port->capability<PortClock>()->time().value();
  ASSERT_EQ(received(*port, frame).size(), 1U);
  const auto stamp = port->capability<FrameStamps>()->take_rx_stamp();
  ASSERT_TRUE(stamp) << stamp.error().message();
  ASSERT_TRUE(stamp->has_value());
  EXPECT_NEAR(static_cast<double>(((*stamp)->time - sent).count()), 0, 16);
}

TEST_P(LaterCard, RulesCompareProtocolAndDestinationPortAlone) {
  auto port = fixture.open();
  Settings config{.rx = {2, RxQueueConfig{.pool = fixture.pool, .ring = 64}}, .tx = {{.ring = 64}}};
  ASSERT_TRUE(test::configure_port(*port, config));
  EXPECT_TRUE(test::add_rule(*port, {match::ipv4().udp().destination_port(53), to_queue(1)}));
  const auto refused = test::add_rule(*port, {match::ipv4().udp().source_port(53), to_queue(1)});
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message().find("two-tuple"), std::string::npos) << refused.error().message();
  ASSERT_TRUE(port->start());
  EXPECT_EQ(fixture.value<reg::SPQF>(0).raw() | fixture.value<reg::SAQF>(0).raw(), 0U);
}

std::string name_of_card(const testing::TestParamInfo<std::uint16_t>& card) {
  return card.param == kI350 ? "I350" : card.param == kI210 ? "I210" : card.param == kI211 ? "I211" : "Flashless";
}
INSTANTIATE_TEST_SUITE_P(Igb, LaterCard, testing::Values(kI350, kI210, kFlashless, kI211), name_of_card);

// E-RQDPC, and snabb pull request 1443: the drops of every queue count, not those of the first one alone.
TEST_P(LaterCard, CountsTheDropsOfEveryQueue) {
  Settings config = fixture.config();
  config.rx.resize(2, config.rx[0]);
  for (auto& queue : config.rx) queue.drop_enable = true;
  config.rss.emplace().table.assign(128, 1);
  auto port = fixture.started(config);
  std::vector<std::byte> frame = broadcast(64);
  const std::array<unsigned, 24> ip{0x08, 0x00, 0x45, 0, 0, 50, 0,  0, 0, 0, 64, 17,
                                    0,    0,    10,   0, 0, 1,  10, 0, 0, 2, 0,  0};
  for (std::size_t i = 0; i < ip.size(); ++i) frame[12 + i] = static_cast<std::byte>(ip[i]);
  for (int i = 0; i < 80; ++i) fixture.wire->inject(frame);
  fixture.clock->advance(1ms);
  ASSERT_TRUE(port->service());
  EXPECT_EQ(port->stats().rx_queues[0].missed_at_least, 0U);
  EXPECT_GT(port->stats().rx_queues[1].missed_at_least, 0U);
}

// PF_RING issue 966: the clock of a card jumped when a program asked for stamps. igb_avb pull request 14: it was set
// again whenever the card was reset.
TEST_P(LaterCard, TheClockGoesOnWhenStampsAreAskedForAndThroughAReset) {
  auto port = fixture.started();
  ASSERT_TRUE(test::run_clock(*port));
  auto* const clock = port->capability<PortClock>();
  ASSERT_TRUE(clock->set_time(1'000'000s));
  fixture.clock->advance(1s);
  ASSERT_TRUE(
      port->change([](Settings& settings) { settings.stamps = {.receive = StampedMessages::ptp2, .transmit = true}; }));
  EXPECT_NEAR(static_cast<double>((clock->time().value() - 1'000'001s).count()), 0, 1e8);
  ASSERT_TRUE(port->stop());
  fixture.clock->advance(1s);
  ASSERT_TRUE(port->start());
  const auto passed = static_cast<double>((clock->time().value() - 1'000'002s).count());
  EXPECT_GE(passed, 0);
  EXPECT_LT(passed, 1e9);
}

// Each port of an I350 has words of its own, with an address and a checksum.
TEST(I350, ReadsTheSectionOfItsPort) {
  IgbFixture fixture({.device_id = kI350, .lan_id = 2});
  auto port = fixture.open();
  EXPECT_EQ(port->mac(), (MacAddress{0x02, 0, 0, 0x82, 0x57, 0x60}));
  auto& nvm = *port->capability<Nvm>();
  const auto words = nvm.read_nvm(0xC0, 3);
  ASSERT_TRUE(words) << words.error().message();
  EXPECT_EQ((*words)[0], 0x0002U);
  const std::vector<std::uint16_t> written{0x5AC3};
  ASSERT_TRUE(nvm.write_nvm(0xC5, written)) << "with the checksum of this section";
  port.reset();
  EXPECT_NE(fixture.open(), nullptr);
}

TEST(I350, ADamagedSectionIsFound) {
  IgbFixture fixture({.device_id = kI350});
  fixture.with_card([](models::igb::Card& card) { return card.nvm().words()[0x105] ^= 1U; });
  const auto port = probe(fixture.context, fixture.device());
  ASSERT_FALSE(port);
  EXPECT_NE(port.error().message().find("0x100 to 0x13f"), std::string::npos) << port.error().message();
}

// E-LOOPTAG: tags of frames between pools have their bytes swapped.
TEST(I350, ReadsTheTagsOfFramesBetweenPools) {
  IgbFixture fixture({.device_id = kI350});
  Settings config{.rx = {2, RxQueueConfig{.pool = fixture.pool, .ring = 64}}, .tx = {2, TxQueueConfig{.ring = 64}}};
  config.vlan_stripping = true;
  config.pools.local_loopback = true;
  config.pools.pools.resize(2);
  config.pools.pools[1].addresses = {{0x02, 0x50, 0, 0, 0, 1}};
  for (const bool outer : {false, true}) {
    SCOPED_TRACE(outer ? "with an outer tag" : "with one tag");
    if (outer) config.outer_vlan_type = 0x88A8;
    auto port = fixture.open();
    ASSERT_TRUE(port->change([&](Settings& settings) { settings = config; }));
    ASSERT_TRUE(port->start());
    fixture.clock->advance(1s);
    MempoolCache cache(fixture.pool);
    std::vector<std::byte> frame = broadcast(64);
    const std::array<unsigned, 20> start{0x02, 0x50, 0,    0,    0,    1, 2,    0,    0,    0,
                                         0,    2,    0x88, 0xA8, 0x00, 5, 0x81, 0x00, 0xA1, 0x07};
    for (std::size_t i = 0; i < start.size(); ++i) {
      if (outer || i < 12 || i >= 16) frame[i < 12 || outer ? i : i - 4] = static_cast<std::byte>(start[i]);
    }
    MbufPtr mbuf = cache.allocate();
    std::memcpy(mbuf->append(64), frame.data(), frame.size());
    Burst<4> burst;
    ASSERT_TRUE(burst.push(mbuf));
    ASSERT_EQ(port->tx_queue(0)->tx_burst(burst), 1U);
    fixture.clock->advance(1ms);
    ASSERT_EQ(port->rx_queue(1)->rx_burst(burst), 1U);
    EXPECT_EQ(RxMetadata(burst[0]).vlan(), 0xA107);
    EXPECT_EQ(RxMetadata(burst[0]).vlan_is_inner(), outer);
    burst = {};
    fixture.wire->inject(frame);
    fixture.clock->advance(1ms);
    ASSERT_EQ(port->rx_queue(1)->rx_burst(burst), 1U);
    EXPECT_EQ(RxMetadata(burst[0]).vlan(), 0xA107) << "from the wire";
  }
}

TEST(I350, AnotherPhyIsNotReachedByMdic) {
  IgbFixture fixture({.device_id = kI350});
  auto port = fixture.started();
  auto& phy = *port->capability<PhyRegisters>();
  EXPECT_TRUE(phy.read_phy_register({.number = 2}));
  const auto other = phy.read_phy_register({.number = 2, .address = 5});
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, ErrorCode::not_supported);
}

TEST(I210, AFlashlessCardHasNoWordsToRead) {
  IgbFixture fixture({.device_id = kFlashless});
  auto port = fixture.open();
  const auto info = port->capability<Nvm>()->nvm_info();
  ASSERT_FALSE(info);
  EXPECT_EQ(info.error().code, ErrorCode::not_supported);
}

// Dasharo issue 756: a card whose flash was never programmed.
TEST(I210, ADamagedFlashIsFound) {
  IgbFixture fixture({.device_id = kI210});
  fixture.with_card([](models::igb::Card& card) { return card.nvm().words()[0x11] ^= 1U; });
  const auto port = probe(fixture.context, fixture.device());
  ASSERT_FALSE(port);
  EXPECT_NE(port.error().message().find("0x00 to 0x3f"), std::string::npos) << port.error().message();
}

// igb_ptp.c: a stamp is not taken where the frame leaves the card (OpenAvnu issue 189).
TEST(I210, StampsOfSentFramesAreThoseOfTheWire) {
  IgbFixture fixture({.device_id = kI210});
  auto port = fixture.started();
  ASSERT_TRUE(test::run_clock(*port));
  ASSERT_TRUE(port->change([](Settings& settings) { settings.stamps = {.transmit = true}; }));
  fixture.clock->advance(5s);
  const Time sent = port->capability<PortClock>()->time().value();
  Burst<1> burst;
  MempoolCache cache(fixture.pool);
  MbufPtr mbuf = cache.allocate();
  ASSERT_NE(mbuf->append(64), nullptr);
  mbuf->set_tx_offload({.flags = TxOffload::timestamp});
  ASSERT_TRUE(burst.push(mbuf));
  ASSERT_EQ(port->tx_queue(0)->tx_burst(burst), 1U);
  const auto stamp = port->capability<FrameStamps>()->take_tx_stamp();
  ASSERT_TRUE(stamp) << stamp.error().message();
  ASSERT_TRUE(stamp->has_value());
  EXPECT_NEAR(static_cast<double>((**stamp - sent).count()), 0, 16);
}

// ipxe pull request 907: a reset does not undo what another system has done to the packet buffers.
TEST(I210, RestoresThePacketBuffers) {
  IgbFixture fixture({.device_id = kI210});
  auto port = fixture.open();
  fixture.with_card([](models::igb::Card& card) {
    card.registers().set<reg::RXPBS>(reg::RXPBS::Value(0x20));
    card.registers().set<reg::TXPBS>(reg::TXPBS::Value(0x00104208));
    return 0;
  });
  ASSERT_TRUE(test::configure_port(*port, fixture.config()));
  ASSERT_TRUE(port->start());
  EXPECT_EQ(fixture.value<reg::RXPBS>().raw(), 0xA2U);
  EXPECT_EQ(fixture.value<reg::TXPBS>().raw(), 0x04000014U);
}

// Another driver may have left another page, on which register 0 is another one.
TEST(I210, SelectsThePageOfEveryRegister) {
  IgbFixture fixture({.device_id = kI210});
  auto port = fixture.started();
  auto& phy = *port->capability<PhyRegisters>();
  ASSERT_TRUE(phy.write_phy_register({.number = 22}, 7));
  const auto id = phy.read_phy_register({.number = 2});
  ASSERT_TRUE(id) << id.error().message();
  EXPECT_EQ(*id, 0x0141U);
}

}  // namespace
}  // namespace pollux::drivers::igb
