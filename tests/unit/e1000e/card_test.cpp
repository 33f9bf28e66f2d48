// SPDX-License-Identifier: BSD-3-Clause
// What the driver writes, where QEMU's card looks at nothing of it: errata and their bits, wake-up, the PHY.
#include "pollux/net/flow_control.hpp"
#include "pollux/net/port_facts.hpp"
#include "pollux/net/wake_on_lan.hpp"
#include "support/burst_modes.hpp"
#include "support/settings_edits.hpp"
#include "unit/e1000e/fake_card.hpp"

namespace pollux {
namespace {

namespace reg = hw::e1000e;
using test::FakeFixture;

std::uint32_t bit(unsigned number) { return 1U << number; }

TEST(E1000eCard, StartsWithTheBitsOfItsErrata) {
  FakeFixture fixture;
  auto port = fixture.start();
  ASSERT_TRUE(port) << port.error().message();
  const test::FakeCard& card = *fixture.card;
  EXPECT_EQ(card.value(reg::GCR::offset(0)) & (bit(22) | bit(27)), bit(22) | bit(27));
  EXPECT_EQ(card.value(reg::GCR2::offset(0)), 1U);
  EXPECT_EQ(card.value(reg::TARC::offset(0)) & (bit(26) | 15U << 27), bit(26));
  EXPECT_EQ(card.value(reg::CTRL_EXT::offset(0)) & (bit(22) | bit(23)), bit(22));
  EXPECT_EQ(card.value(reg::CTRL::offset(0)) & (bit(29) | bit(5)), 0U) << "bit 5 is reserved";
  EXPECT_NE(card.value(reg::CTRL_EXT::offset(0)) & reg::CTRL_EXT::DRV_LOAD.mask(), 0U);
  EXPECT_EQ(card.value(reg::VET::offset(0)), 0x8100U);
  EXPECT_NE(card.value(reg::RXCSUM::offset(0)) & reg::RXCSUM::PCSD.mask(), 0U) << "else there is no hash";
}

// PBA survives a reset, so that Linux's 32 KiB for receiving would leave 8 KiB for sending: too few for a frame of
// 9,234 bytes.
TEST(E1000eCard, DividesItsPacketBufferBeforeItsReset) {
  FakeFixture fixture;
  auto port = fixture.start();
  ASSERT_TRUE(port) << port.error().message();
  EXPECT_EQ(fixture.card->packet_buffer & 0xFFFF, 20U);
  const auto pauses = port->capability<FlowControl>();
  ASSERT_TRUE(pauses);
  EXPECT_EQ(pauses->flow_control().packet_buffer, 20U * 1024);
}

TEST(E1000eCard, CountsDescriptorsInBothTransmitQueues) {
  FakeFixture fixture;
  auto port = fixture.start();
  ASSERT_TRUE(port) << port.error().message();
  for (const std::uint32_t queue : {0U, 1U}) {
    EXPECT_NE(fixture.card->value(reg::TXDCTL::offset(queue)) & reg::TXDCTL::COUNT_DESC.mask(), 0U) << queue;
  }
}

TEST(E1000eCard, ReadsItsFlashAfterAReset) {
  FakeFixture fixture;
  auto port = fixture.start();
  ASSERT_TRUE(port) << port.error().message();
  EXPECT_EQ(fixture.card->nvm_reloads, 0U) << "an EEPROM needs no such thing";
  fixture.card->eecd = 0x300 | 3U << 15 | bit(20);
  ASSERT_TRUE(port->stop());
  const unsigned before = fixture.card->nvm_reloads;
  ASSERT_TRUE(port->start());
  EXPECT_EQ(fixture.card->nvm_reloads, before + 1);
  EXPECT_EQ(fixture.card->value(reg::EECD::offset(0)) & bit(20), 0U) << "the card may write its flash";
  const auto facts = port->capability<PortFacts>();
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->facts()[0].value, "flash");
}

TEST(E1000eCard, WithFewVectorsHasNoModeration) {
  for (const unsigned vectors : {0U, 2U, 3U}) {
    FakeFixture fixture;
    fixture.vectors = vectors;
    auto port = fixture.start({}, 2);
    ASSERT_TRUE(port) << port.error().message();
    EXPECT_EQ(port->info().supports.test(Setting::moderation), vectors == 3) << vectors;
    EXPECT_EQ(port->rx(1).event_fd() >= 0, vectors == 3) << vectors;
  }
}

TEST(E1000eCard, TellsWhatOfItIsNotDriven) {
  FakeFixture fixture;
  auto port = fixture.start();
  ASSERT_TRUE(port) << port.error().message();
  const auto facts = port->capability<PortFacts>()->facts();
  ASSERT_EQ(facts.size(), 2U);
  EXPECT_EQ(facts[0].value, "EEPROM");
  EXPECT_EQ(facts[1].name, "not driven");
  EXPECT_NE(facts[1].value.find("time stamps"), std::string::npos) << facts[1].value;
}

TEST(E1000eCard, OfAChipsetIsRefusedWithTheReason) {
  for (const std::uint16_t id : {std::uint16_t{0x153A}, std::uint16_t{0x15A3}, std::uint16_t{0x15B7}}) {
    FakeFixture fixture;
    fixture.id = id;
    const auto port = fixture.start();
    ASSERT_FALSE(port) << id;
    EXPECT_EQ(port.error().code, ErrorCode::not_supported);
    EXPECT_NE(port.error().message().find("ipxe issue 1731"), std::string::npos) << port.error().message();
  }
}

TEST(E1000eCard, IsNeverStoppedByItsReceiveUnit) {
  FakeFixture fixture;
  auto port = fixture.start();
  ASSERT_TRUE(port) << port.error().message();
  ASSERT_TRUE(port->stop());
  ASSERT_TRUE(port->start());
  ASSERT_TRUE(port->suspend());
  ASSERT_TRUE(port->resume());
  EXPECT_EQ(fixture.card->receivers_disabled, 0U);
}

TEST(E1000eCard, WaitsForWakeUpWithItsPhyManaged) {
  FakeFixture fixture;
  auto port = fixture.start();
  ASSERT_TRUE(port) << port.error().message();
  ASSERT_TRUE(port->change([](Settings& settings) { settings.wake = {.magic = true, .multicast = true}; }));
  ASSERT_TRUE(port->suspend());
  const test::FakeCard& card = *fixture.card;
  EXPECT_EQ(card.value(reg::WUFC::offset(0)), reg::WUFC::MAG.mask() | reg::WUFC::MC.mask());
  EXPECT_EQ(card.value(reg::WUC::offset(0)), reg::WUC::PME_EN.mask());
  EXPECT_EQ(card.value(reg::CTRL::offset(0)) & (reg::CTRL::ADVD3WUC.mask() | bit(21)),
            reg::CTRL::ADVD3WUC.mask() | bit(21));
  EXPECT_NE(card.value(reg::RCTL::offset(0)) & reg::RCTL::MPE.mask(), 0U);
  ASSERT_TRUE(port->resume());
  EXPECT_EQ(card.value(reg::WUFC::offset(0)), 0U);
  EXPECT_EQ(card.value(reg::WUC::offset(0)), 0U);
}

TEST(E1000eCard, PreparesItsPhyAsLinuxDoes) {
  FakeFixture fixture;
  auto port = fixture.start();
  ASSERT_TRUE(port) << port.error().message();
  EXPECT_EQ(fixture.card->phy()[16] & 0x0862, 0x0860) << "downshift, MDI or MDI-X, the polarity corrected";
  EXPECT_EQ(fixture.card->phy()[29], 3);
  EXPECT_EQ(fixture.card->phy()[18], 0) << "a register of the 82576's PHY";
  EXPECT_EQ(fixture.card->phy()[25], 0) << "a register of the 82576's PHY";
  EXPECT_EQ(fixture.card->phy_resets, 1U);
}

// Linux e1000e, netdev.c, e1000e_check_82574_phy_workaround: two looks that find both counters at their end.
TEST(E1000eCard, ResetsAPhyThatHangs) {
  FakeFixture fixture;
  auto port = fixture.start();
  ASSERT_TRUE(port) << port.error().message();
  const auto look = [&] {
    fixture.clock->advance(std::chrono::seconds(10));
    EXPECT_TRUE(port->service());
    return fixture.card->phy_resets;
  };
  EXPECT_EQ(look(), 1U);
  fixture.card->phy()[21] = 0xFFFF;
  EXPECT_EQ(look(), 1U) << "the receive errors alone";
  fixture.card->phy()[10] = 0x38FF;
  EXPECT_EQ(look(), 1U) << "once may be chance";
  EXPECT_EQ(look(), 2U);
  fixture.card->phy()[10] = 0x3800;
  EXPECT_EQ(look(), 2U);
}

TEST(E1000eCard, RestartsOneTransmitQueueWhileTheOtherSends) {
  FakeFixture fixture;
  auto port = fixture.start({}, 2);
  ASSERT_TRUE(port) << port.error().message();
  const auto send = [&](std::uint16_t queue) {
    Burst<1> burst;
    MbufPtr mbuf = fixture.cache.allocate();
    return mbuf->append(60) != nullptr && burst.push(mbuf) && port->tx(queue).tx_burst(burst) == 1;
  };
  EXPECT_TRUE(send(0) && send(1));
  ASSERT_TRUE(port->stop_queue(QueueId::tx(1)));
  EXPECT_NE(fixture.card->value(reg::TCTL::offset(0)) & reg::TCTL::EN.mask(), 0U);
  EXPECT_TRUE(send(0));
  ASSERT_TRUE(port->start_queue(QueueId::tx(1)));
  EXPECT_TRUE(send(0) && send(1));
  EXPECT_EQ(fixture.card->sent.size(), 5U);
  EXPECT_EQ(port->stop_queue(QueueId::rx(0)).error().code, ErrorCode::not_supported);
  EXPECT_EQ(port->state(), PortState::started);
}

/// A packet of 86 bytes over IPv4, with the request for its checksum.
MbufPtr with_request(FakeFixture& fixture, bool tcp, std::uint32_t more = 0) {
  MbufPtr mbuf = fixture.cache.allocate();
  std::uint8_t* const data = mbuf->append(100 + more);
  std::memset(data, 0, 100 + more);
  data[12] = 0x08;
  data[14] = 0x45;
  data[17] = static_cast<std::uint8_t>(86 + more);
  data[23] = tcp ? 6 : 17;
  data[39] = tcp ? 0 : static_cast<std::uint8_t>(66 + more);
  data[46] = tcp ? 0x50 : 0;
  mbuf->set_tx_offload({.flags = tcp ? TxOffload::tcp_checksum : TxOffload::udp_checksum, .l2 = 14, .l3 = 20});
  return mbuf;
}
bool send(TxQueue& queue, MbufPtr mbuf) {
  Burst<1> burst;
  return burst.push(mbuf) && queue.tx_burst(burst) == 1;
}
std::uint64_t type_of(const hw::intel::Descriptor& descriptor) { return descriptor.hi >> 20 & 15; }

// One context for both queues (FreeBSD, em_txrx.c, em_transmit_checksum_setup).
TEST(E1000eCard, GetsAContextWithEachRequest) {
  FakeFixture fixture;
  auto port = fixture.start({}, 2);
  ASSERT_TRUE(port) << port.error().message();
  for (const std::uint16_t queue : {std::uint16_t{0}, std::uint16_t{1}, std::uint16_t{0}, std::uint16_t{0}}) {
    ASSERT_TRUE(send(port->tx(queue), with_request(fixture, false)));
  }
  ASSERT_EQ(fixture.card->sent.size(), 8U);
  for (std::size_t i = 0; i < 8; i += 2) {
    EXPECT_EQ(type_of(fixture.card->sent[i]), 0U) << "a context";
    EXPECT_EQ(type_of(fixture.card->sent[i + 1]), 1U) << "data";
  }
}

TEST(E1000eCard, KeepsTheContextOfItsOnlyQueue) {
  FakeFixture fixture;
  auto port = fixture.start();
  ASSERT_TRUE(port) << port.error().message();
  std::vector<hw::intel::Descriptor>& sent = fixture.card->sent;
  for (std::uint32_t i = 0; i < 4; ++i) {
    ASSERT_TRUE(send(port->tx(0), with_request(fixture, false, i)));
    ASSERT_EQ(sent.size(), 2U + i);
    const std::uint64_t checksum = std::uint64_t{2} << 40;  // TXSM
    EXPECT_EQ(sent.back().hi, (100 + i) | 0x2B10'0000U | checksum) << "the same but for the length: " << i;
  }
  for (const bool tcp : {true, false}) {
    sent.clear();
    ASSERT_TRUE(send(port->tx(0), with_request(fixture, tcp)));
    ASSERT_EQ(sent.size(), 2U) << "another context";
    EXPECT_EQ(type_of(sent[0]), 0U);
  }
  // A stopped card has none.
  ASSERT_TRUE(port->stop());
  ASSERT_TRUE(port->start());
  sent.clear();
  ASSERT_TRUE(send(port->tx(0), with_request(fixture, false)));
  EXPECT_EQ(sent.size(), 2U);
}

// The SIMD loops are those of the family's other descriptors, which have two lengths.
class E1000eBursts : public testing::TestWithParam<BurstMode> {};

TEST_P(E1000eBursts, WriteTheDescriptorsOfTheCard) {
  if (!processor_has(GetParam())) GTEST_SKIP() << "this processor has no " << name(GetParam());
  constexpr std::uint32_t kFrames = 32;
  FakeFixture fixture;
  Settings settings = fixture.settings();
  settings.tx[0].ring = 256;
  settings.burst_mode = GetParam();
  auto port = open(fixture.context, "sim:0?card=fake82574", settings);
  ASSERT_TRUE(port) << port.error().message();
  for (std::uint32_t round = 0; round < 20; ++round) {
    std::vector<std::uint64_t> places;
    Burst<kFrames> burst;
    for (std::uint32_t i = 0; i < kFrames; ++i) {
      MbufPtr mbuf = fixture.cache.allocate();
      ASSERT_NE(mbuf->append(17 + round * 60 + i), nullptr);
      places.push_back(mbuf->data_iova());
      ASSERT_TRUE(burst.push(mbuf));
    }
    fixture.card->sent.clear();
    ASSERT_EQ(port->tx(0).tx_burst(burst), kFrames);
    ASSERT_EQ(fixture.card->sent.size(), kFrames);
    for (std::uint32_t i = 0; i < kFrames; ++i) {
      const hw::intel::Descriptor& sent = fixture.card->sent[i];
      EXPECT_EQ(sent.lo, places[i]);
      const std::uint64_t reports = i + 1 == kFrames ? bit(27) : 0;  // RS
      // A data descriptor with DEXT, IFCS and EOP, and no length but the buffer's.
      EXPECT_EQ(sent.hi, 17 + round * 60 + i + bit(20) + bit(29) + bit(25) + bit(24) + reports) << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, E1000eBursts, testing::ValuesIn(test::kBurstModes),
                         [](const auto& param) { return std::string(name(param.param)); });

// A context for TCP has the bit that ends a packet in a data descriptor.
TEST(E1000eCard, FramesThatWereNotSentAreCountedOnce) {
  FakeFixture fixture;
  auto port = fixture.start();
  ASSERT_TRUE(port) << port.error().message();
  fixture.card->sends = false;
  for (const bool tcp : {true, false, true}) ASSERT_TRUE(send(port->tx(0), with_request(fixture, tcp)));
  ASSERT_TRUE(port->stop());
  EXPECT_EQ(port->stats().tx_dropped, 3U);
}

TEST(E1000eCard, AcknowledgesOtherCausesAlone) {
  FakeFixture fixture;
  auto port = fixture.start();
  ASSERT_TRUE(port) << port.error().message();
  test::FakeCard& card = *fixture.card;
  EXPECT_EQ(card.value(reg::IVAR::offset(0)), 0x000800A9U);
  card.raise(reg::ICR::RXQ0.mask() | reg::ICR::RXO.mask() | reg::ICR::OTHER.mask());
  card.interrupt(0);
  ASSERT_TRUE(port->service());
  EXPECT_EQ(card.value(reg::ICR::offset(0)), reg::ICR::RXQ0.mask()) << "whose message may still wait";
  EXPECT_EQ(card.value(reg::IMS::offset(0)), reg::IMS::OTHER.mask() | reg::IMS::LSC.mask());
}

}  // namespace
}  // namespace pollux
