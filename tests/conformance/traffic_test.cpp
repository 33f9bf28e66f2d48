// SPDX-License-Identifier: BSD-3-Clause
// Sent frames arrive unchanged and in order, with every length. Every frame is accounted for.
#include <algorithm>

#include "conformance/fixture.hpp"
#include "support/settings_edits.hpp"

namespace pollux::conformance {
namespace {

class Traffic : public Conformance {};

CONFORMANCE_TEST_WHERE(Traffic, CarriesEveryLength, traits.delivers) {
  start_both();
  std::vector<Bytes> frames;
  for (std::uint32_t bytes = 60; bytes <= 1514; ++bytes) frames.push_back(make_frame(bytes, bytes));
  expect_exchange(frames);
}

CONFORMANCE_TEST_WHERE(Traffic, KeepsTheOrderWhenItsRingsWrap, traits.delivers) {
  start_both();
  expect_exchange(make_frames(1000, 64));
}

CONFORMANCE_TEST(Traffic, TakesBurstsOfAnySize) {
  start_both();
  Burst<32> none;
  EXPECT_EQ(left().tx(0).tx_burst(none), 0U);
  EXPECT_EQ(left().tx(0).tx_done_cleanup(), 0U);
  Burst<1> one;
  MbufPtr single = make_mbuf(make_frame(60, 7));
  ASSERT_TRUE(one.push(single));
  EXPECT_EQ(left().tx(0).tx_burst(one), 1U);
  if (traits().delivers && !traits().by_file) {
    EXPECT_EQ(receive(right(), 1), std::vector<Bytes>{make_frame(60, 7)});
  }
  Burst<48> many;
  const std::vector<Bytes> frames = make_frames(48, 60);
  for (const Bytes& frame : frames) {
    MbufPtr mbuf = make_mbuf(frame);
    ASSERT_TRUE(many.push(mbuf));
  }
  EXPECT_EQ(left().tx(0).tx_burst(many), 48U);
  EXPECT_TRUE(many.empty());
  if (traits().delivers && !traits().by_file) {
    EXPECT_EQ(receive(right(), 48), frames);
  }
}

CONFORMANCE_TEST_WHERE(Traffic, ReturnsNoMoreThanTheLimit, traits.delivers && !traits.by_file) {
  start_both();
  send(left(), make_frames(20, 60));
  std::uint32_t got = 0;
  for (int polls = 0; polls < 200'000 && got < 20; ++polls) {
    Burst<32> burst;
    const std::uint32_t count = right().rx(0).rx_burst(burst, 3);
    ASSERT_LE(count, 3U);
    ASSERT_EQ(count, burst.size());
    got += count;
    DropCounter checked("checked");
    burst.drop(checked);
    if (count == 0) pass_time();
  }
  EXPECT_EQ(got, 20U);
}

CONFORMANCE_TEST_WHERE(Traffic, SendsChains, traits.delivers) {
  start_both();
  for (const std::size_t segment : {14U, 61U, 500U, 1000U}) {
    std::vector<Bytes> frames;
    for (std::uint32_t i = 0; i < 12; ++i) {
      frames.push_back(
          make_frame(std::min<std::size_t>(60 + i * 120, segment * left().info().limits.max_tx_segments), i));
    }
    expect_exchange(frames, segment);
  }
}

CONFORMANCE_TEST_WHERE(Traffic, CarriesJumboFrames, traits.delivers) {
  pollux::Settings jumbo = config();
  jumbo.mtu = 9000;
  start_both(jumbo, jumbo);
  std::vector<Bytes> frames;
  for (const std::size_t bytes : {60U, 2048U, 2049U, 4096U, 4097U, 8192U, 9014U}) {
    frames.push_back(make_frame(bytes, static_cast<std::uint32_t>(bytes)));
  }
  expect_exchange(frames, 2048);
}

CONFORMANCE_TEST_WHERE(Traffic, PutsJumboFramesIntoSmallBuffers,
                       traits.two_ports() && traits.delivers && !traits.is_zero_copy) {
  const auto small = Mempool::create(*context_, {.count = 1024, .data_room = 1024});
  ASSERT_TRUE(small);
  pollux::Settings sender = config();
  sender.mtu = 4000;
  pollux::Settings receiver = config(*small);
  receiver.mtu = 4000;
  start_both(sender, receiver);
  const std::vector<Bytes> frames = make_frames(10, 4014);
  if (traits().by_file) {
    send(left(), frames, 2000);
    right_.reset();
    right_ = open_port(pair().right);
    ASSERT_TRUE(test::configure_port(right(), receiver));
    ASSERT_TRUE(right().start());
    EXPECT_EQ(receive(right(), frames.size()), frames);
  } else {
    EXPECT_EQ(exchange(left(), right(), frames, 2000), frames);
  }
  right_.reset();
  EXPECT_EQ(small->stats().in_use(), 0U);
}

CONFORMANCE_TEST_WHERE(Traffic, CountsFramesAndBytes, traits.delivers) {
  start_both();
  const MacAddress group{0x01, 0x00, 0x5E, 0, 0, 1};
  receive_multicast(right(), group, true);
  std::vector<Bytes> frames = make_frames(100, 60);
  for (std::uint32_t i = 0; i < 50; ++i) frames.push_back(make_frame(1000, i, group));
  ASSERT_EQ(exchange(left(), right(), frames).size(), frames.size());
  settle(left());
  const Stats sent = left().stats();
  const Stats received = right().stats();
  const std::uint64_t bytes = 100 * 60 + 50 * 1000;  // without FCS
  EXPECT_EQ(sent.tx_burst_packets, 150U);
  EXPECT_EQ(sent.tx_packets, 150U);
  EXPECT_EQ(sent.tx_bytes, bytes);
  EXPECT_EQ(sent.tx_errors, 0U);
  EXPECT_EQ(received.rx_burst_packets, 150U);
  EXPECT_EQ(received.rx_packets, 150U);
  EXPECT_EQ(received.rx_bytes, bytes);
  EXPECT_EQ(received.multicast, 50U) << "broadcasts are not counted as multicast";
  EXPECT_EQ(received.rx_errors, 0U);
  EXPECT_EQ(dropped(right(), "rx_"), 0U);
}

CONFORMANCE_TEST(Traffic, AccountsForEveryFrame) {
  start_both();
  std::vector<Bytes> frames = make_frames(40, 60);
  if (traits().delivers) {
    ASSERT_EQ(exchange(left(), right(), frames).size(), frames.size());
  }
  // The receiver does not poll for these frames.
  send(left(), make_frames(40, 60));
  settle(left());
  pass_time();
  stop_both();
  const Stats sent = left().stats();
  const Stats received = right().stats();
  EXPECT_EQ(sent.tx_burst_packets, traits().delivers ? 80U : 40U);
  EXPECT_EQ(sent.tx_burst_packets, sent.tx_packets + dropped(left(), "tx_"));
  EXPECT_EQ(received.rx_packets, received.rx_burst_packets + dropped(right(), "rx_"));
  EXPECT_EQ(pool_->stats().in_use(), 0U);
}

CONFORMANCE_TEST_WHERE(Traffic, TakesPartOfABurstWhenTheRingIsFull, traits.has_backpressure) {
  start_both();
  const std::vector<Bytes> frames = make_frames(200, 60);
  Burst<200> burst;
  for (const Bytes& frame : frames) {
    MbufPtr mbuf = make_mbuf(frame);
    ASSERT_TRUE(burst.push(mbuf));
  }
  const std::uint32_t taken = left().tx(0).tx_burst(burst);
  EXPECT_EQ(taken, 64U);
  ASSERT_EQ(burst.size(), 200 - taken);
  EXPECT_EQ(content(burst[0]), frames[taken]);
  EXPECT_EQ(left().tx(0).tx_burst(burst), 0U);
  std::vector<Bytes> arrived;
  while (arrived.size() < frames.size()) {
    const std::vector<Bytes> more = receive(right(), std::min<std::size_t>(20, frames.size() - arrived.size()));
    ASSERT_FALSE(more.empty());
    arrived.insert(arrived.end(), more.begin(), more.end());
    left().tx(0).tx_burst(burst);
  }
  EXPECT_EQ(arrived, frames);
}

CONFORMANCE_TEST_WHERE(Traffic, GeneratesFrames, !traits.delivers) {
  start_both();
  Burst<32> burst;
  for (int round = 0; round < 10; ++round) {
    ASSERT_EQ(right().rx(0).rx_burst(burst), 32U);
    for (Mbuf& mbuf : burst) ASSERT_EQ(mbuf.packet_length(), 60U);
    DropCounter checked("checked");
    burst.drop(checked);
  }
  EXPECT_EQ(right().stats().rx_packets, 320U);
  EXPECT_EQ(right().stats().rx_bytes, 320U * 60);
  Burst<32> nothing;
  EXPECT_EQ(left().rx(0).rx_burst(nothing), 0U);
}

}  // namespace
}  // namespace pollux::conformance
