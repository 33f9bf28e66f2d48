// SPDX-License-Identifier: BSD-3-Clause
// The clock, time stamps and timers, set up as Linux does (igb_ptp.c).
#include <gtest/gtest.h>

#include <algorithm>

#include "unit/models/card_fixture.hpp"

namespace pollux::models::igb {
namespace {

using namespace std::chrono_literals;

class CardTime : public testing::Test {
 protected:
  static constexpr unsigned kShift = 19;  // the clock counts 2^-19 ns
  static constexpr unsigned kSync = 0, kDelayRequest = 1, kAnnounce = 11;

  void SetUp() override {
    fixture.link_up();
    fixture.start_rx();
    fixture.start_tx();
    fixture.write<hw::RCTL>(fixture.read<hw::RCTL>().with(hw::RCTL::UPE | hw::RCTL::MPE));
    fixture.write<hw::TIMINCA>(hw::TIMINCA::PERIOD(1) | hw::TIMINCA::VALUE(16U << kShift));
    fixture.write<hw::ETQF>(3, hw::ETQF::ETYPE(0x88F7) | hw::ETQF::FILTER_ENABLE | hw::ETQF::TIME_STAMP);
    fixture.write<hw::FTQF>(3, hw::FTQF::PROTOCOL(17) | hw::FTQF::VF_BP | hw::FTQF::TIME_STAMP |
                                   hw::FTQF::SOURCE_ADDRESS_BP | hw::FTQF::DESTINATION_ADDRESS_BP);
    fixture.write<hw::IMIR>(3, hw::IMIR::PORT(kPort));
    fixture.write<hw::SPQF>(3, hw::SPQF::PORT(kPort));
    fixture.write<hw::TSYNCTXCTL>(hw::TSYNCTXCTL::ENABLED);
    fixture.write<hw::TSYNCRXCTL>(hw::TSYNCRXCTL::ENABLED | hw::TSYNCRXCTL::EVENT_V2);
  }
  [[nodiscard]] std::uint64_t clock() {
    const std::uint64_t low = fixture.read<hw::SYSTIML>().raw();
    return low | std::uint64_t{fixture.read<hw::SYSTIMH>().raw()} << 32;
  }
  static void put(std::vector<std::byte>& frame, std::size_t at, std::initializer_list<unsigned> bytes) {
    for (const unsigned byte : bytes) frame[at++] = static_cast<std::byte>(byte);
  }
  static void put_message(std::vector<std::byte>& frame, std::size_t at, unsigned type) {
    put(frame, at, {type, 2});
    put(frame, at + 22, {1, 2, 3, 4, 5, 6});
    put(frame, at + 30, {0x12, 0x34});
  }
  [[nodiscard]] static std::vector<std::byte> ethernet(unsigned type) {
    auto frame = CardFixture::frame(64);
    put(frame, 12, {0x88, 0xF7});
    put_message(frame, 14, type);
    return frame;
  }
  [[nodiscard]] static std::vector<std::byte> udp(unsigned type, unsigned port) {
    auto frame = CardFixture::frame(90);
    put(frame, 12, {0x08, 0x00, 0x45, 0, 0, 76, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2});
    put(frame, 34, {1, 0x3F, port >> 8, port & 0xFF, 0, 56, 0, 0});
    put_message(frame, 42, type);
    return frame;
  }
  [[nodiscard]] bool receive(const std::vector<std::byte>& frame) {
    fixture.card.receive(frame);
    const std::uint64_t high = fixture.memory.descriptor(CardFixture::kRxRing, slot++).hi;
    EXPECT_TRUE(intel::rx::done(high));
    return (high & intel::rx::kTimeStamped) != 0;
  }
  void send(bool stamp) {
    const auto frame = CardFixture::frame(60);
    std::copy(frame.begin(), frame.end(), fixture.memory.at(CardFixture::buffer(20)));
    fixture.memory.descriptor(CardFixture::kTxRing, tail) = intel::tx::data(
        CardFixture::buffer(20), 60, 60, intel::tx::kEndOfPacket | (stamp ? intel::tx::kTimeStamp : std::uint64_t{0}));
    fixture.write<hw::TDT>(0, hw::TDT::TAIL(++tail));
  }
  [[nodiscard]] std::uint64_t rx_stamp() {
    const std::uint64_t low = fixture.read<hw::RXSTMPL>().raw();
    return low | std::uint64_t{fixture.read<hw::RXSTMPH>().raw()} << 32;
  }

  static constexpr std::uint32_t kPort = 0x3F01;  // 319 in network byte order
  CardFixture fixture;
  std::uint32_t slot = 0;
  std::uint32_t tail = 0;
};

TEST_F(CardTime, CountsNanoseconds) {
  const std::uint64_t before = clock();
  fixture.pass(1600ns);
  EXPECT_EQ(clock() - before, std::uint64_t{1600} << kShift);
  fixture.pass(3600s);
  EXPECT_EQ(clock() - before, std::uint64_t{3'600'000'001'600} << kShift);
  fixture.write<hw::TIMINCA>(hw::TIMINCA::PERIOD(1) | hw::TIMINCA::VALUE(8U << kShift));
  const std::uint64_t slow = clock();
  EXPECT_EQ(slow - before, std::uint64_t{3'600'000'001'600} << kShift)
      << "a new rate does not change time that has passed";
  fixture.pass(1600ns);
  EXPECT_EQ(clock() - slow, std::uint64_t{800} << kShift);
  fixture.write<hw::TIMINCA>(hw::TIMINCA::Value());
  const std::uint64_t stopped = clock();
  fixture.pass(1s);
  EXPECT_EQ(clock(), stopped);
}

TEST_F(CardTime, IsSetAndAdjusted) {
  fixture.write<hw::TIMINCA>(hw::TIMINCA::Value());
  fixture.write<hw::SYSTIML>(hw::SYSTIML::Value(0xFFFFFFF0));
  fixture.write<hw::SYSTIMH>(hw::SYSTIMH::Value(5));
  EXPECT_EQ(clock(), 0x5FFFFFFF0u);
  fixture.write<hw::TIMADJL>(hw::TIMADJL::Value(0x20));
  fixture.write<hw::TIMADJH>(hw::TIMADJH::Value());
  EXPECT_EQ(clock(), 0x600000010u);
  fixture.write<hw::TIMADJH>(hw::TIMADJH::Value(0x80000000));
  EXPECT_EQ(clock(), 0x5FFFFFFF0u);
}

TEST_F(CardTime, StampsEventsOverEthernetAndUdp) {
  EXPECT_FALSE(receive(ethernet(kAnnounce))) << "a general message";
  fixture.pass(1ms);
  const std::uint64_t now = clock();
  EXPECT_TRUE(receive(ethernet(kSync)));
  EXPECT_EQ(
      fixture.memory.descriptor(CardFixture::kRxRing, 1).lo >> intel::rx::kPacketTypeShift & intel::rx::kPacketTypeMask,
      intel::rx::kTypeEtherFilter | 3);
  EXPECT_TRUE(fixture.read<hw::TSYNCRXCTL>().has(hw::TSYNCRXCTL::VALID));
  EXPECT_EQ(fixture.read<hw::RXSATRL>().raw(), 0x04030201u);
  EXPECT_EQ(fixture.read<hw::RXSATRH>().raw(), 0x34120605u);
  fixture.pass(1ms);
  EXPECT_FALSE(receive(udp(kDelayRequest, 319))) << "the stamp of the first has not been read";
  EXPECT_EQ(rx_stamp(), now);
  EXPECT_FALSE(fixture.read<hw::TSYNCRXCTL>().has(hw::TSYNCRXCTL::VALID));
  EXPECT_FALSE(receive(udp(kSync, 320)));
  EXPECT_TRUE(receive(udp(kDelayRequest, 319)));
  EXPECT_EQ(rx_stamp(), clock());
  fixture.write<hw::TSYNCRXCTL>(hw::TSYNCRXCTL::Value());
  EXPECT_FALSE(receive(ethernet(kSync)));
}

TEST_F(CardTime, StampsTheMessagesThatTypeSelects) {
  fixture.write<hw::TSYNCRXCFG>(hw::TSYNCRXCFG::MSGID(kDelayRequest));
  fixture.write<hw::TSYNCRXCTL>(hw::TSYNCRXCTL::ENABLED | hw::TSYNCRXCTL::L2_V2);
  EXPECT_FALSE(receive(ethernet(kSync)));
  EXPECT_FALSE(receive(udp(kDelayRequest, 319)));
  EXPECT_TRUE(receive(ethernet(kDelayRequest)));
  static_cast<void>(rx_stamp());
  fixture.write<hw::TSYNCRXCTL>(hw::TSYNCRXCTL::ENABLED | hw::TSYNCRXCTL::L4_V1);
  auto old = udp(0, 319);
  old[43] = std::byte{1};
  old[74] = std::byte{2};
  EXPECT_FALSE(receive(old));
  fixture.write<hw::TSYNCRXCFG>(hw::TSYNCRXCFG::CTRLT(2));
  EXPECT_TRUE(receive(old));
  static_cast<void>(rx_stamp());
  fixture.write<hw::TSYNCRXCTL>(hw::TSYNCRXCTL::ENABLED | hw::TSYNCRXCTL::ALL);
  EXPECT_TRUE(receive(CardFixture::frame(60)));
}

TEST_F(CardTime, StampsTransmittedFramesOnRequest) {
  send(false);
  EXPECT_FALSE(fixture.read<hw::TSYNCTXCTL>().has(hw::TSYNCTXCTL::VALID));
  fixture.pass(1ms);
  const std::uint64_t now = clock();
  send(true);
  EXPECT_TRUE(fixture.read<hw::TSYNCTXCTL>().has(hw::TSYNCTXCTL::VALID | hw::TSYNCTXCTL::ENABLED));
  fixture.pass(1ms);
  send(true);
  const std::uint64_t low = fixture.read<hw::TXSTMPL>().raw();
  EXPECT_EQ(low | std::uint64_t{fixture.read<hw::TXSTMPH>().raw()} << 32, now) << "the second found the latch full";
  EXPECT_FALSE(fixture.read<hw::TSYNCTXCTL>().has(hw::TSYNCTXCTL::VALID));
}

TEST_F(CardTime, SelectsAQueueByEtherType) {
  fixture.write<hw::ETQF>(
      3, hw::ETQF::ETYPE(0x88F7) | hw::ETQF::FILTER_ENABLE | hw::ETQF::QUEUE_ENABLE | hw::ETQF::QUEUE(5));
  fixture.card.receive(ethernet(kSync));
  EXPECT_EQ(fixture.card.receiver().losses().queue_disabled, 1u) << "queue 5 is not enabled";
}

TEST(CardTimers, CountAndRaiseAnInterrupt) {
  CardFixture fixture;
  fixture.card.reset();
  fixture.pass(1s);
  const std::uint32_t now = fixture.read<hw::FRTIMER>().raw();
  fixture.pass(2'003'004us);
  EXPECT_EQ(fixture.read<hw::FRTIMER>().raw() - now, 2U << 20 | 3U << 10 | 4U);
  fixture.write<hw::TCPTIMER>(hw::TCPTIMER::DURATION(10) | hw::TCPTIMER::COUNT_ENABLE | hw::TCPTIMER::KICKSTART |
                              hw::TCPTIMER::LOOP);
  fixture.pass(9ms);
  EXPECT_FALSE(fixture.read<hw::EICR>().has(hw::EICR::TCP_TIMER));
  fixture.pass(1ms);
  EXPECT_TRUE(fixture.read<hw::EICR>().has(hw::EICR::TCP_TIMER));
  fixture.write<hw::EICR>(hw::EICR::TCP_TIMER);
  fixture.pass(10ms);
  EXPECT_TRUE(fixture.read<hw::EICR>().has(hw::EICR::TCP_TIMER));
}

TEST(CardRegisters, HaveAllOffsetsOfLinuxsRegisterDump) {
  CardFixture fixture;
  const auto read = [&](std::uint32_t offset) { return fixture.card.read32(hw::kRegisterBar, offset); };
  for (std::uint32_t i = 0; i < 128; ++i) {
    EXPECT_EQ(read(0x9000 + i * 8), 0u);
    EXPECT_EQ(read(0x9800 + i * 8), 0u);
  }
  for (const std::uint32_t offset : {0x1000u, 0x1008u, 0x3410u, 0x3418u, 0x3420u, 0x3430u, 0x4108u, 0x410Cu, 0x4110u,
                                     0x411Cu, 0x5F00u, 0x5F18u, 0xB66Cu}) {
    EXPECT_EQ(read(offset), 0u);
  }
  EXPECT_EQ(fixture.card.registers().unknown_accesses(), 0u);
  fixture.write<hw::ICS>(hw::ICS::LSC);
  EXPECT_EQ(read(hw::ICS::offset()), hw::ICR::Value(hw::ICR::LSC).raw());
  EXPECT_EQ(read(hw::ICS::offset()), hw::ICR::Value(hw::ICR::LSC).raw()) << "not cleared";
}

}  // namespace
}  // namespace pollux::models::igb
