// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/observe/capture.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "pcapng_reader.hpp"
#include "support/fixture.hpp"
#include "support/settings_edits.hpp"

namespace pollux {
namespace {

using test::CardFixture;
using test::counting_frame;
using test::Frame;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr Duration kEpoch = std::chrono::seconds(1'700'000'000);

struct CaptureTest : testing::Test {
  CardFixture fixture;

  std::unique_ptr<Capture> start(CaptureOptions options = {}) {
    options.name = "plx0";
    options.epoch = kEpoch;
    auto capture = Capture::start(fixture.port, options);
    EXPECT_TRUE(capture) << capture.error().message();
    return capture ? *std::move(capture) : nullptr;
  }
  /// The whole file.
  static test::PcapngFile finish(Capture& capture) {
    std::vector<std::byte> bytes;
    EXPECT_TRUE(capture.stop());
    EXPECT_FALSE(capture.drain(bytes, SIZE_MAX));
    capture.finish(bytes);
    return test::read_pcapng(bytes);
  }
  static std::vector<Frame> frames_of(const std::vector<test::PcapngFile::Packet>& packets) {
    std::vector<Frame> frames;
    for (const auto& packet : packets) frames.push_back(packet.bytes);
    return frames;
  }
};

TEST_F(CaptureTest, HasTheFramesOfBothDirectionsWithTheirTimes) {
  const auto capture = start();
  ASSERT_NE(capture, nullptr);
  const std::vector<Frame> received{counting_frame(60), counting_frame(1514, 7)};
  const std::vector<Frame> sent{counting_frame(100, 9)};
  for (const Frame& frame : received) fixture.inject(frame);
  const Time burst = fixture.clock->now();
  ASSERT_EQ(fixture.receive_all(), received);
  fixture.clock->advance(std::chrono::microseconds(50));
  ASSERT_TRUE(fixture.transmit(sent.front()));
  const auto file = finish(*capture);
  EXPECT_EQ(frames_of(file.of("plx0/rx0")), received);
  EXPECT_EQ(frames_of(file.of("plx0/tx0")), sent);
  ASSERT_EQ(file.packets.size(), 3U);
  EXPECT_EQ(file.packets[0].time, static_cast<std::uint64_t>((kEpoch + burst).count()));
  EXPECT_EQ(file.packets[2].time, static_cast<std::uint64_t>((kEpoch + burst + Duration(50'000)).count()));
  EXPECT_EQ(file.packets[0].flags() & 3U, 1U) << "inbound";
  EXPECT_EQ(file.packets[2].flags() & 3U, 2U) << "outbound";
  EXPECT_EQ(file.packets[1].length, 1514U);
}

TEST_F(CaptureTest, NamesEachDirectionOfEachQueue) {
  Settings two = fixture.config;
  two.rx.resize(2, two.rx[0]);
  two.tx.resize(3, two.tx[0]);
  ASSERT_TRUE(fixture.port.stop());
  ASSERT_TRUE(test::configure_port(fixture.port, two));
  const auto names = [&](const CaptureOptions& options) {
    std::vector<std::string> all;
    const auto capture = start(options);
    if (capture == nullptr) return all;
    for (const auto& one : finish(*capture).interfaces) all.push_back(one.name());
    return all;
  };
  EXPECT_THAT(names({}), ElementsAre("plx0/rx0", "plx0/rx1", "plx0/tx0", "plx0/tx1", "plx0/tx2"));
  EXPECT_THAT(names({.queue = 1}), ElementsAre("plx0/rx1", "plx0/tx1"));
  EXPECT_THAT(names({.queue = 2}), ElementsAre("plx0/tx2"));
  EXPECT_THAT(names({.transmit = false}), ElementsAre("plx0/rx0", "plx0/rx1"));
  const DropCounter reason("reason");
  EXPECT_THAT(names({.receive = false, .transmit = false, .drops = {&reason}}), ElementsAre("plx0/drops"));
}

TEST_F(CaptureTest, SaysWhatItCapturesFrom) {
  const auto capture = start({.filter = "ip", .snaplen = 128, .application = "test 1.0"});
  ASSERT_NE(capture, nullptr);
  const auto file = finish(*capture);
  EXPECT_THAT(file.section.at(2), HasSubstr("82576"));
  EXPECT_EQ(file.section.at(4), "test 1.0");
  const auto& one = file.interfaces.front();
  EXPECT_EQ(one.snaplen, 128U);
  EXPECT_THAT(one.options.at(3), HasSubstr("receive queue 0"));
  EXPECT_EQ(one.options.at(11), std::string("\0ip", 3));
  const MacAddress mac = fixture.port.mac();
  EXPECT_EQ(one.options.at(6), std::string(mac.begin(), mac.end()));
}

TEST_F(CaptureTest, TheFilterAndTheSnapshotLengthSelect) {
  const auto capture = start({.filter = "ether[14] = 15", .snaplen = 20});
  ASSERT_NE(capture, nullptr);
  for (unsigned seed = 0; seed < 4; ++seed) fixture.inject(counting_frame(80, seed));
  ASSERT_EQ(fixture.receive_all().size(), 4U);
  const CaptureCounts counts = capture->counts();
  EXPECT_EQ(counts.seen, 4U);
  EXPECT_EQ(counts.captured, 1U);
  EXPECT_EQ(counts.lost, 0U);
  const auto file = finish(*capture);
  ASSERT_EQ(file.packets.size(), 1U);
  EXPECT_EQ(file.packets.front().bytes.size(), 20U);
  EXPECT_EQ(file.packets.front().length, 80U);
  EXPECT_EQ(file.statistics_of("plx0/rx0").number(4), 4U);
  EXPECT_EQ(file.statistics_of("plx0/rx0").number(6), 1U);
}

TEST_F(CaptureTest, AFrameThatTheQueueDidNotTakeIsCapturedWhenItDoes) {
  ASSERT_TRUE(fixture.port.stop());
  const auto capture = start();
  ASSERT_NE(capture, nullptr);
  EXPECT_FALSE(fixture.transmit(counting_frame(60, 1))) << "the port is stopped";
  ASSERT_TRUE(fixture.port.start());
  ASSERT_TRUE(fixture.port.wait_for_link(std::chrono::seconds(5)));
  ASSERT_TRUE(fixture.transmit(counting_frame(60, 2)));
  const auto file = finish(*capture);
  EXPECT_EQ(frames_of(file.of("plx0/tx0")), std::vector<Frame>{counting_frame(60, 2)});
  EXPECT_EQ(file.statistics_of("plx0/tx0").number(4), 1U);
}

TEST_F(CaptureTest, ShowsWhatTheProgramDropsAndWhy) {
  DropCounter full("tx_ring_full");
  DropCounter bad("bad_header");
  const auto capture = start({.drops = {&bad, &full}});
  ASSERT_NE(capture, nullptr);
  for (unsigned seed = 0; seed < 3; ++seed) fixture.inject(counting_frame(60, seed));
  Burst<32> burst = fixture.rx_burst();
  ASSERT_EQ(burst.size(), 3U);
  EXPECT_EQ(burst.drop_if(bad, [](Mbuf& mbuf) { return mbuf.data()[20] == 21; }), 1U);
  burst.drop(full, fixture.cache);
  const auto file = finish(*capture);
  const auto dropped = file.of("plx0/drops");
  ASSERT_EQ(dropped.size(), 3U);
  EXPECT_EQ(dropped[0].comment(), "dropped: bad_header");
  EXPECT_EQ(dropped[0].bytes, counting_frame(60, 1));
  EXPECT_EQ(dropped[1].comment(), "dropped: tx_ring_full");
  EXPECT_EQ(frames_of(dropped),
            (std::vector<Frame>{counting_frame(60, 1), counting_frame(60, 0), counting_frame(60, 2)}));
  EXPECT_EQ(file.statistics_of("plx0/drops").number(8), 3U);
  EXPECT_FALSE(full.is_observed()) << "it was detached";
}

TEST_F(CaptureTest, DoesNotShowTheDropsOfFramesThatAnotherPortReceived) {
  DropCounter reason("reason");
  const auto capture = start({.drops = {&reason}});
  ASSERT_NE(capture, nullptr);
  MbufPtr made = fixture.make_mbuf(counting_frame(60));
  Burst<1> burst;
  ASSERT_TRUE(burst.push(made));
  burst.drop(reason);
  EXPECT_TRUE(finish(*capture).of("plx0/drops").empty());
}

TEST_F(CaptureTest, CountsWhatTheCardAndTheLibraryDropped) {
  const auto capture = start();
  ASSERT_NE(capture, nullptr);
  // More than the card's packet buffer holds.
  constexpr std::size_t kArrived = 1000;
  for (unsigned i = 0; i < kArrived; ++i) fixture.inject(counting_frame(1000, i));
  const std::size_t received = fixture.receive_all().size();
  ASSERT_LT(received, kArrived);
  // Long enough for the card, but not for Ethernet.
  ASSERT_TRUE(fixture.transmit(counting_frame(9)));
  ASSERT_EQ(fixture.drops("tx_too_short"), 1U);
  const auto file = finish(*capture);
  const auto& rx = file.statistics_of("plx0/rx0");
  EXPECT_EQ(rx.number(4), received);
  EXPECT_EQ(rx.number(5), kArrived - received);
  EXPECT_THAT(rx.comment(), HasSubstr("rx_missed_errors " + std::to_string(kArrived - received)));
  const auto& tx = file.statistics_of("plx0/tx0");
  EXPECT_EQ(tx.number(5), 1U);
  EXPECT_THAT(tx.comment(), HasSubstr("tx_too_short 1"));
}

TEST_F(CaptureTest, WhatFindsNoRoomIsCountedInTheFileAndTheProgramLosesNone) {
  const auto capture = start({.snaplen = 1024, .ring_bytes = 4096});
  ASSERT_NE(capture, nullptr);
  // Records of 256 bytes: 16 fit.
  for (unsigned i = 0; i < 20; ++i) fixture.inject(counting_frame(200, i));
  EXPECT_EQ(fixture.receive_all().size(), 20U);
  std::vector<std::byte> bytes;
  EXPECT_FALSE(capture->drain(bytes, SIZE_MAX));
  fixture.inject(counting_frame(200, 99));
  EXPECT_EQ(fixture.receive_all().size(), 1U);
  ASSERT_TRUE(capture->stop());
  EXPECT_FALSE(capture->drain(bytes, SIZE_MAX));
  capture->finish(bytes);
  const auto file = test::read_pcapng(bytes);
  const auto received = file.of("plx0/rx0");
  ASSERT_EQ(received.size(), 17U);
  EXPECT_EQ(received.back().lost(), 4U);
  EXPECT_EQ(received.front().lost(), 0U);
  const auto& rx = file.statistics_of("plx0/rx0");
  EXPECT_EQ(rx.number(4), 21U);
  EXPECT_EQ(rx.number(6), 21U);
  EXPECT_EQ(rx.number(7), 4U);
  EXPECT_EQ(rx.number(8), 17U);
}

TEST_F(CaptureTest, DrainsInPartsWithoutLosingAFrame) {
  const auto capture = start();
  ASSERT_NE(capture, nullptr);
  std::vector<Frame> sent;
  for (unsigned i = 0; i < 30; ++i) sent.push_back(counting_frame(200, i));
  for (const Frame& frame : sent) fixture.inject(frame);
  ASSERT_EQ(fixture.receive_all().size(), 30U);
  std::vector<std::byte> all;
  std::vector<std::byte> part;
  int parts = 0;
  for (bool more = true; more; ++parts) {
    more = capture->drain(part, 1000);
    EXPECT_LT(part.size(), 2000U);
    all.insert(all.end(), part.begin(), part.end());
    part.clear();
  }
  EXPECT_GT(parts, 5);
  EXPECT_EQ(frames_of(test::read_pcapng(all).of("plx0/rx0")), sent);
}

TEST_F(CaptureTest, SeveralCapturesOfOnePortDoNotDisturbOneAnother) {
  DropCounter reason("reason");
  const auto first = start({.drops = {&reason}});
  auto second = start({.filter = "ip", .drops = {&reason}});
  ASSERT_TRUE(first != nullptr && second != nullptr);
  fixture.inject(counting_frame(60));
  fixture.rx_burst().drop(reason);
  EXPECT_TRUE(finish(*second).packets.empty());
  second.reset();
  fixture.inject(counting_frame(60));
  fixture.rx_burst().drop(reason);
  const auto file = finish(*first);
  EXPECT_EQ(file.of("plx0/rx0").size(), 2U);
  EXPECT_EQ(file.of("plx0/drops").size(), 2U);
}

TEST_F(CaptureTest, ATagThatTheCardInsertsIsInItsPlace) {
  const auto capture = start();
  ASSERT_NE(capture, nullptr);
  MbufPtr mbuf = fixture.make_mbuf(counting_frame(60));
  mbuf->set_tx_offload({.flags = TxOffload::insert_vlan, .vlan = 5, .l2 = 14});
  Burst<1> burst;
  ASSERT_TRUE(burst.push(mbuf));
  ASSERT_EQ(fixture.port.tx(0).tx_burst(burst), 1U);
  const auto file = finish(*capture);
  ASSERT_EQ(file.packets.size(), 1U);
  EXPECT_EQ(file.packets.front().length, 64U);
  EXPECT_EQ(file.packets.front().bytes[12], std::byte{0x81});
  EXPECT_EQ(file.packets.front().bytes[15], std::byte{5});
}

TEST_F(CaptureTest, AStampOfTheCardIsInTheComment) {
  const auto capture = start({.receive = false});
  ASSERT_NE(capture, nullptr);
  MbufPtr mbuf = fixture.make_mbuf(counting_frame(60));
  mbuf->set_timestamp(12'000'000'345);
  Burst<1> burst;
  ASSERT_TRUE(burst.push(mbuf));
  ASSERT_EQ(fixture.port.tx(0).tx_burst(burst), 1U);
  const auto file = finish(*capture);
  ASSERT_EQ(file.packets.size(), 1U);
  EXPECT_EQ(file.packets.front().comment(), "card time stamp: 12.000000345 s");
}

}  // namespace
}  // namespace pollux
