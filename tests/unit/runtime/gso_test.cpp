// SPDX-License-Identifier: BSD-3-Clause
// GSO: segments have the headers that a card would give them, and GRO makes the frame of them again.
#include "pollux/runtime/gso.hpp"

#include <random>

#include "keeping_queue.hpp"
#include "pollux/net/checksum_offload.hpp"
#include "pollux/runtime/gro.hpp"
#include "tcp_frames.hpp"

namespace pollux::test {
namespace {

class GsoTest : public MergeFixture {
 protected:
  /// A frame that requests segmentation.
  [[nodiscard]] MbufPtr superframe(const Packet& packet, std::uint16_t segment_size, std::size_t part = 2000) {
    MbufPtr frame = mbuf_of(packet.bytes(), part);
    const bool written =
        request_checksums(*frame, {.flags = packet.udp ? TxOffload::udp_segmentation : TxOffload::tcp_segmentation,
                                   .l2 = static_cast<std::uint16_t>(packet.l3()),
                                   .l3 = static_cast<std::uint16_t>(packet.l4() - packet.l3()),
                                   .l4 = static_cast<std::uint16_t>(packet.headers() - packet.l4()),
                                   .segment_size = segment_size});
    EXPECT_TRUE(written);
    return frame;
  }
  void segment(MbufPtr frame, Burst<64>& out, const OffloadLimits& limits = {}) {
    Segmenter segmenter;
    ASSERT_TRUE(segmenter.start(frame, limits));
    ASSERT_EQ(segmenter.next(cache_, out), Segmenter::Outcome::complete);
  }
  [[nodiscard]] static PacketBytes counting(std::size_t bytes) {
    PacketBytes payload(bytes);
    for (std::size_t i = 0; i < bytes; ++i) payload[i] = static_cast<std::uint8_t>(i * 7);
    return payload;
  }
  [[nodiscard]] static PacketBytes part_of(const PacketBytes& whole, std::size_t at, std::size_t bytes) {
    const auto from = whole.begin() + static_cast<std::ptrdiff_t>(at);
    return {from, from + static_cast<std::ptrdiff_t>(std::min(bytes, whole.size() - at))};
  }
};

TEST_F(GsoTest, SegmentsAreWhatTheSenderWouldHaveSent) {
  for (const bool ipv6 : {false, true}) {
    Packet packet{.ipv6 = ipv6, .vlan = 5, .id = 0xFFFF, .sequence = 0xFFFFFFF0, .flags = 16 | 8 | 1 | 128};
    packet.payload = counting(250);
    Burst<64> out;
    segment(superframe(packet, 100, 90), out);
    ASSERT_EQ(out.size(), 3U);
    for (std::uint32_t i = 0; i < 3; ++i) {
      Packet expected = packet;
      expected.payload = part_of(packet.payload, i * std::size_t{100}, 100);
      expected.sequence += i * 100;
      expected.id = static_cast<std::uint16_t>(expected.id + i);
      expected.flags = std::array<std::uint8_t, 3>{16 | 128, 16, 16 | 8 | 1}[i];
      EXPECT_EQ(bytes_of(out[i]), expected.bytes()) << i;
      EXPECT_EQ(out[i].tx_offload().flags, 0U);
    }
    out.drop(seen_, cache_);
  }
}

TEST_F(GsoTest, UdpSegmentsAreDatagrams) {
  for (const bool ipv6 : {false, true}) {
    const Packet packet{.ipv6 = ipv6, .udp = true, .payload = counting(500)};
    Burst<64> out;
    segment(superframe(packet, 200), out);
    ASSERT_EQ(out.size(), 3U);
    for (std::uint32_t i = 0; i < 3; ++i) {
      Packet expected = packet;
      expected.payload = part_of(packet.payload, i * std::size_t{200}, 200);
      expected.id = static_cast<std::uint16_t>(expected.id + i);
      EXPECT_EQ(bytes_of(out[i]), expected.bytes()) << i;
    }
    out.drop(seen_, cache_);
  }
}

TEST_F(GsoTest, ChecksumsStayPartialIfThePortComputesThem) {
  const Packet packet{.payload = counting(150)};
  Burst<64> out;
  segment(superframe(packet, 100), out, {.tx_flags = TxOffload::tcp_checksum});
  ASSERT_EQ(out.size(), 2U);
  EXPECT_EQ(out[1].tx_offload().flags, std::uint32_t{TxOffload::tcp_checksum});
  ASSERT_EQ(complete_checksums(out[1]), ChecksumCompletion::complete);
  Packet expected{.id = 8, .sequence = 1100, .payload = part_of(packet.payload, 100, 50)};
  EXPECT_EQ(bytes_of(out[1]), expected.bytes());
  out.drop(seen_, cache_);
}

TEST_F(GsoTest, SegmentsLargerThanAnMbufAreChains) {
  const Packet packet{.payload = counting(9000)};
  Burst<64> out;
  segment(superframe(packet, 4500), out);
  ASSERT_EQ(out.size(), 2U);
  EXPECT_EQ(out[0].segments(), 3U);
  Packet expected{.payload = part_of(packet.payload, 0, 4500)};
  EXPECT_EQ(bytes_of(out[0]), expected.bytes());
  out.drop(seen_, cache_);
}

TEST_F(GsoTest, GroMakesTheFrameAgain) {
  std::mt19937 random(1);
  for (int i = 0; i < 2000; ++i) {
    Packet packet{.ipv6 = random() % 2 == 0};
    packet.vlan = static_cast<std::uint16_t>(random() % 2 == 0 ? 0 : 1 + random() % 4000);
    packet.id = static_cast<std::uint16_t>(random());
    packet.sequence = static_cast<std::uint32_t>(random());
    packet.flags = std::array<std::uint8_t, 4>{16, 16 | 8, 16 | 1, 16 | 8 | 1}[random() % 4];
    const auto size = static_cast<std::uint16_t>(1 + random() % 1460);
    packet.payload = counting(std::min<std::size_t>(size + 1 + random() % (size * std::size_t{63}), 65'400));
    MbufPtr whole = superframe(packet, size);
    PacketBytes before = bytes_of(*whole);
    const TxOffload request = whole->tx_offload();
    Burst<64> burst;
    segment(std::move(whole), burst);
    Gro gro;
    gro.merge(burst);
    ASSERT_EQ(burst.size(), 1U) << i;
    EXPECT_EQ(burst[0].tx_offload(), request);
    ASSERT_EQ(bytes_of(burst[0]), before) << i;
    burst.drop(seen_, cache_);
  }
}

TEST_F(GsoTest, AWrongRequestChangesNothing) {
  const Packet packet{.payload = counting(300)};
  for (const TxOffload& wrong :
       {TxOffload{}, TxOffload{.flags = TxOffload::tcp_segmentation, .l2 = 14, .l3 = 20, .l4 = 20},
        TxOffload{.flags = TxOffload::tcp_segmentation, .l2 = 14, .l3 = 24, .l4 = 20, .segment_size = 9},
        TxOffload{.flags = TxOffload::tcp_segmentation, .l2 = 14, .l3 = 20, .l4 = 24, .segment_size = 9},
        TxOffload{.flags = TxOffload::udp_segmentation, .l2 = 14, .l3 = 20, .l4 = 8, .segment_size = 9},
        TxOffload{.flags = TxOffload::tcp_segmentation, .l2 = 999, .l3 = 20, .l4 = 20, .segment_size = 9}}) {
    MbufPtr frame = mbuf_of(packet.bytes());
    frame->set_tx_offload(wrong);
    Segmenter segmenter;
    EXPECT_FALSE(segmenter.start(frame, {}));
    ASSERT_NE(frame, nullptr);
    EXPECT_EQ(bytes_of(*frame), packet.bytes());
  }
}

class SegmentingTxTest : public GsoTest {
 protected:
  KeepingQueue queue_;
  Burst<64> burst_;
  void push(MbufPtr frame) { ASSERT_TRUE(burst_.push(frame)); }
  void TearDown() override { burst_.drop(seen_, cache_); }
};

TEST_F(SegmentingTxTest, OnlyWhatThePortCannotSegmentIsSegmented) {
  const Packet packet{.payload = counting(300)};
  OffloadLimits limits{
      .tx_flags = TxOffload::tcp_segmentation, .max_l2 = 14, .max_l3 = 20, .max_segments = 1, .max_tso = 400};
  SegmentingTx tx(queue_, limits, cache_);
  push(mbuf_of(packet.bytes()));
  push(superframe(packet, 100));
  push(superframe({.payload = counting(400)}, 100));  // longer than max_tso
  push(superframe(packet, 100, 100));                 // several mbufs
  push(superframe({.ipv6 = true, .payload = counting(300)}, 100));
  push(mbuf_of(packet.bytes()));
  EXPECT_EQ(tx.send(burst_), 6U);
  std::vector<std::uint32_t> lengths;
  for (const Mbuf* frame : queue_.frames) lengths.push_back(frame->packet_length());
  EXPECT_EQ(lengths, (std::vector<std::uint32_t>{354, 354, 154, 154, 154, 154, 154, 154, 154, 174, 174, 174, 354}));
  EXPECT_NE(queue_.frames[1]->tx_offload().flags, 0U);
}

TEST_F(SegmentingTxTest, WhatTheQueueDoesNotTakeIsSentLater) {
  const Packet packet{.payload = counting(1000)};
  SegmentingTx tx(queue_, {}, cache_);
  push(superframe(packet, 100));
  push(mbuf_of(packet.bytes()));
  push(mbuf_of(packet.bytes()));
  queue_.room = 3;
  EXPECT_EQ(tx.send(burst_), 1U);
  EXPECT_TRUE(tx.waiting());
  EXPECT_EQ(burst_.size(), 2U);
  queue_.room = 11;
  EXPECT_EQ(tx.send(burst_), 1U);
  EXPECT_FALSE(tx.waiting());
  queue_.room = 12;
  EXPECT_EQ(tx.send(burst_), 1U);
  ASSERT_EQ(queue_.frames.size(), 12U);
  for (std::uint32_t i = 0; i < 10; ++i) EXPECT_EQ(packet::load32(queue_.frames[i]->data() + 38), 1000 + i * 100);
}

TEST_F(SegmentingTxTest, DropsHaveNames) {
  SegmentingTx tx(queue_, {}, cache_);
  MbufPtr wrong = mbuf_of(Packet{.payload = counting(300)}.bytes());
  wrong->set_tx_offload({.flags = TxOffload::tcp_segmentation});
  push(std::move(wrong));
  EXPECT_EQ(tx.send(burst_), 1U);
  EXPECT_EQ(tx.bad_requests().value(), 1U);
  push(superframe({.payload = counting(1000)}, 100));
  std::vector<MbufPtr> taken;
  while (MbufPtr mbuf = cache_.allocate()) taken.push_back(std::move(mbuf));
  EXPECT_EQ(tx.send(burst_), 1U);
  EXPECT_EQ(tx.no_memory().value(), 1U);
  EXPECT_TRUE(queue_.frames.empty());
}

}  // namespace
}  // namespace pollux::test
