// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <thread>

#include "support/fixture.hpp"

namespace pollux::test {
namespace {

namespace reg = hw::igb;
using namespace std::chrono_literals;

TEST(SimTraffic, BringsALinkUpInVirtualTime) {
  CardFixture fixture;
  const Link link = fixture.port.link();
  EXPECT_TRUE(link.up);
  EXPECT_EQ(link.speed, 1000u);
  EXPECT_EQ(link.duplex, Duplex::full);
  EXPECT_TRUE(fixture.every_mbuf_accounted_for());
}

TEST(SimTraffic, ReceivesAFrameByteForByte) {
  CardFixture fixture;
  for (const std::size_t bytes : {60u, 61u, 1000u, 1514u}) {
    const Frame frame = counting_frame(bytes, static_cast<unsigned>(bytes));
    fixture.inject(frame);
    Burst<32> burst = fixture.rx_burst();
    ASSERT_EQ(burst.size(), 1u) << bytes;
    EXPECT_EQ(content(burst[0]), frame);
    EXPECT_EQ(burst[0].port(), fixture.port.info().index);
    EXPECT_TRUE(fixture.every_mbuf_accounted_for(1));
  }
}

TEST(SimTraffic, SendsAFrameByteForByte) {
  CardFixture fixture;
  for (const std::size_t bytes : {60u, 61u, 1000u, 1514u}) {
    const Frame frame = counting_frame(bytes, 3);
    ASSERT_TRUE(fixture.transmit(frame));
    ASSERT_FALSE(fixture.sent.empty());
    EXPECT_EQ(fixture.sent.back(), frame);
  }
  fixture.port.tx(0).tx_done_cleanup();
  EXPECT_EQ(fixture.port.tx(0).in_flight(), 0u);
  EXPECT_TRUE(fixture.every_mbuf_accounted_for());
}

TEST(SimTraffic, PadsShortFrames) {
  CardFixture fixture;
  const Frame frame = counting_frame(20);
  ASSERT_TRUE(fixture.transmit(frame));
  ASSERT_EQ(fixture.sent.size(), 1u);
  Frame padded = frame;
  padded.resize(60);
  EXPECT_EQ(fixture.sent[0], padded);
}

TEST(SimTraffic, ReceivesInOrderOverManyRingWraps) {
  CardFixture fixture;
  unsigned next = 0;
  unsigned expected = 0;
  for (int round = 0; round < 100; ++round) {
    const unsigned burst = 1 + static_cast<unsigned>(round) % 37;
    for (unsigned i = 0; i < burst; ++i, ++next) fixture.inject(counting_frame(60 + next % 1400, next));
    for (const Frame& frame : fixture.receive_all()) {
      ASSERT_EQ(frame, counting_frame(60 + expected % 1400, expected)) << expected;
      ++expected;
    }
    ASSERT_EQ(expected, next);
  }
  EXPECT_TRUE(fixture.every_mbuf_accounted_for());
}

TEST(SimTraffic, SendsInOrderOverManyRingWraps) {
  CardFixture fixture;
  for (unsigned i = 0; i < 1000; ++i) ASSERT_TRUE(fixture.transmit(counting_frame(60 + i % 1400, i))) << i;
  ASSERT_EQ(fixture.sent.size(), 1000u);
  for (unsigned i = 0; i < 1000; ++i) ASSERT_EQ(fixture.sent[i], counting_frame(60 + i % 1400, i)) << i;
  EXPECT_TRUE(fixture.every_mbuf_accounted_for());
}

TEST(SimTraffic, CarriesJumboFramesInSeveralSegments) {
  CardFixture fixture({.port = {.rx = {{.ring = 64}}, .tx = {{.ring = 64}}, .mtu = 9000}});
  const Frame frame = counting_frame(9014, 7);
  fixture.inject(frame);
  {
    const std::vector<Frame> received = fixture.receive_all();
    ASSERT_EQ(received.size(), 1u);
    EXPECT_EQ(received[0], frame);
  }
  ASSERT_TRUE(fixture.transmit(frame, 1500));
  ASSERT_EQ(fixture.sent.size(), 1u);
  EXPECT_EQ(fixture.sent[0], frame);
  fixture.port.tx(0).tx_done_cleanup();
  EXPECT_TRUE(fixture.every_mbuf_accounted_for());
}

TEST(SimTraffic, ResumesWhenAnExhaustedPoolIsRefilled) {
  CardFixture fixture({.port = {.rx = {{.ring = 64}}, .tx = {{.ring = 64}}}, .pool = {.count = 160}});
  std::vector<MbufPtr> taken;
  for (MbufPtr mbuf = fixture.pool.allocate(); mbuf != nullptr; mbuf = fixture.pool.allocate())
    taken.push_back(std::move(mbuf));
  for (MbufPtr mbuf = fixture.cache.allocate(); mbuf != nullptr; mbuf = fixture.cache.allocate()) {
    taken.push_back(std::move(mbuf));
  }
  for (unsigned i = 0; i < 200; ++i) fixture.inject(counting_frame(60, i));
  // A burst that drops all its frames is empty, so an empty burst does not mean that the ring is empty.
  std::size_t received = 0;
  for (int i = 0; i < 40; ++i) received += fixture.receive_all().size();
  EXPECT_EQ(received, 0u);
  EXPECT_EQ(fixture.drops("rx_pool_empty"), 200u);
  EXPECT_EQ(fixture.port.stats().rx_missed_errors, 0u);

  taken.clear();
  for (unsigned i = 0; i < 200; ++i) {
    fixture.inject(counting_frame(60, i));
    const std::vector<Frame> frames = fixture.receive_all();
    ASSERT_EQ(frames.size(), 1u) << i;
    ASSERT_EQ(frames[0], counting_frame(60, i));
  }
  EXPECT_EQ(fixture.drops("rx_pool_empty"), 200u);
  EXPECT_TRUE(fixture.every_mbuf_accounted_for());
}

TEST(SimTraffic, LosesNothingThatFitsInThePacketBuffer) {
  CardFixture fixture;
  for (unsigned i = 0; i < 500; ++i) fixture.inject(counting_frame(60, i));
  const std::vector<Frame> received = fixture.receive_all();
  ASSERT_EQ(received.size(), 500u);
  EXPECT_EQ(received[499], counting_frame(60, 499));
  EXPECT_EQ(fixture.port.stats().rx_missed_errors, 0u);
}

TEST(SimTraffic, CountsFramesBeyondThePacketBuffer) {
  CardFixture fixture;
  const unsigned count = 3000;
  for (unsigned i = 0; i < count; ++i) fixture.inject(counting_frame(60, i));
  const std::size_t received = fixture.receive_all().size();
  const Stats stats = fixture.port.stats();
  EXPECT_GT(stats.rx_missed_errors, 0u);
  EXPECT_EQ(received + stats.rx_missed_errors + stats.dropped(), count);
}

TEST(SimTraffic, StopsAndStartsAgain) {
  CardFixture fixture;
  for (int round = 0; round < 20; ++round) {
    fixture.inject(counting_frame(100, 1));
    ASSERT_EQ(fixture.receive_all().size(), 1u) << round;
    ASSERT_TRUE(fixture.transmit(counting_frame(100, 2)));
    fixture.inject(counting_frame(100, 3));  // not polled before the stop
    const auto stopped = fixture.port.stop();
    ASSERT_TRUE(stopped) << stopped.error().message();
    EXPECT_TRUE(fixture.every_mbuf_accounted_for()) << round;
    fixture.inject(counting_frame(100, 4));
    EXPECT_TRUE(fixture.rx_burst().empty());
    const auto started = fixture.port.start();
    ASSERT_TRUE(started) << started.error().message();
    ASSERT_TRUE(fixture.port.wait_for_link(5s));
    EXPECT_TRUE(fixture.every_mbuf_accounted_for()) << round;
  }
  EXPECT_EQ(fixture.sent.size(), 20u);
  EXPECT_EQ(fixture.drops("rx_stopped"), 20u);
}

TEST(SimTraffic, ClosesAndOpensAgain) {
  CardFixtureOptions options;
  CardFixture fixture(options);
  ASSERT_TRUE(fixture.port.close());
  EXPECT_TRUE(fixture.every_mbuf_accounted_for());
  auto device = sim::SimDevice::create(fixture.context, "sim:again", fixture.wire, 0);
  ASSERT_TRUE(device) << device.error().message();
  auto again = open_unconfigured(fixture.context, *std::move(device));
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(again->mac(), (MacAddress{0x02, 0x00, 0x00, 0x82, 0x57, 0x60}));
}

TEST(SimTraffic, CountsFramesAndBytes) {
  CardFixture fixture;
  for (unsigned i = 0; i < 10; ++i) fixture.inject(counting_frame(60 + i));
  ASSERT_EQ(fixture.receive_all().size(), 10u);
  for (unsigned i = 0; i < 5; ++i) ASSERT_TRUE(fixture.transmit(counting_frame(100)));
  fixture.inject(counting_frame(40));
  const Stats stats = fixture.port.stats();
  EXPECT_EQ(stats.rx_packets, 10u);
  EXPECT_EQ(stats.rx_burst_packets, 10u);
  EXPECT_EQ(stats.rx_bytes, 10u * 60 + 45);
  EXPECT_EQ(stats.tx_packets, 5u);
  EXPECT_EQ(stats.tx_burst_packets, 5u);
  EXPECT_EQ(stats.tx_bytes, 5u * 100);
  EXPECT_EQ(stats.rx_errors, 1u);
  EXPECT_EQ(stats.rx_length_errors, 1u);
  EXPECT_EQ(fixture.port.stats().rx_packets, 10u) << "the card's counters clear when read; the port's do not";
}

TEST(SimTraffic, RejectsALengthBeyondTheBuffer) {
  CardFixture fixture;
  ASSERT_TRUE(fixture.card.write_back(fixture.rx, {.length = 4000}));
  EXPECT_EQ(fixture.rx_burst().size(), 0u);
  EXPECT_EQ(fixture.drops("rx_bad_length"), 1u);
  EXPECT_TRUE(fixture.every_mbuf_accounted_for());
  fixture.inject(counting_frame(60));
  EXPECT_EQ(fixture.receive_all().size(), 1u);
}

TEST(SimTraffic, DetectsARemovedCard) {
  CardFixture fixture;
  fixture.card.set_removed(true);
  EXPECT_TRUE(fixture.rx_burst().empty());
  const auto service = fixture.port.service();
  ASSERT_FALSE(service);
  EXPECT_EQ(service.error().code, ErrorCode::device_removed);
  EXPECT_EQ(fixture.port.state(), PortState::failed);
}

TEST(SimTraffic, NeverAccessesUnmappedMemory) {
  CardFixture fixture({.port = {.rx = {{.ring = 64}}, .tx = {{.ring = 64}}, .mtu = 9000}});
  for (unsigned i = 0; i < 200; ++i) {
    fixture.inject(counting_frame(60 + i * 40, i));
    ASSERT_EQ(fixture.receive_all().size(), 1u);
    ASSERT_TRUE(fixture.transmit(counting_frame(60 + i * 40, i), 700));
  }
  EXPECT_EQ(fixture.card.with([](models::igb::Card& card) { return card.dma().refused(); }), 0u);
  EXPECT_EQ(fixture.card.with([](models::igb::Card& card) { return card.writes_in_reset(); }), 0u);
  EXPECT_EQ(fixture.card.with([](models::igb::Card& card) { return card.registers().unknown_accesses(); }), 0u);
}

}  // namespace
}  // namespace pollux::test
