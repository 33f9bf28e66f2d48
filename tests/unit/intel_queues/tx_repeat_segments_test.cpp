// SPDX-License-Identifier: BSD-3-Clause
// Packets that repeat a request for segmentation: the first is checked, the others get one descriptor or two.
#include "unit/intel_queues/tx_offload_fixture.hpp"

namespace pollux::test {
namespace {

namespace tx = hw::intel::tx;
using Request = StrictTransmitter::Request;

constexpr std::uint32_t kLongest = 65'000;
/// Bytes of the longest buffer that one descriptor can have.
constexpr std::uint32_t kOneSlot = 32'768;
constexpr TxOffload kLongTso4{.flags = TxOffload::tcp_segmentation, .l2 = 14, .l3 = 20, .l4 = 20, .segment_size = 1448};

class TxRepeatedSegments : public TxOffloadTest {
 protected:
  void use_long_mbufs(std::uint32_t tx_ring = 128) {
    use({.rx_ring = 8, .tx_ring = tx_ring, .pool = {.count = 100, .data_room = kLongest, .name = "long"}});
  }
  /// A packet of `bytes` bytes.
  template <class Headers>
  [[nodiscard]] static std::vector<std::uint8_t> packet_of(std::uint32_t bytes, Headers add) {
    std::vector<std::uint8_t> memory(kLongest);
    packet::Builder builder(memory);
    add(builder.ethernet({}));
    const std::size_t headers = builder.finish(0)->size();
    packet::Builder whole(memory);
    add(whole.ethernet({}));
    whole.payload(std::vector<std::uint8_t>(bytes - headers, 0x5A));
    EXPECT_TRUE(whole.finish(0));
    memory.resize(bytes);
    return memory;
  }
  [[nodiscard]] static std::vector<std::uint8_t> tcp4_of(std::uint32_t bytes) {
    return packet_of(bytes, [](packet::Builder& to) { to.ipv4({.source = {10, 0, 0, 1}}).tcp({}); });
  }
  [[nodiscard]] MbufPtr requesting(const std::vector<std::uint8_t>& bytes, const TxOffload& request) {
    MbufPtr frame = make(bytes);
    EXPECT_TRUE(request_checksums(*frame, request));
    return frame;
  }
  /// Sends the packets in one burst. The card must get each as it is now, without the IP length and checksum.
  [[nodiscard]] std::uint32_t send_all(std::vector<MbufPtr> frames) {
    Burst<64> burst;
    for (MbufPtr& frame : frames) {
      std::vector<std::uint8_t> bytes = content(*frame);
      const bool ipv4 = bytes[14] >> 4 == 4;
      std::fill_n(bytes.begin() + 14 + (ipv4 ? 2 : 4), 2, std::uint8_t{0});
      if (ipv4) std::fill_n(bytes.begin() + 14 + 10, 2, std::uint8_t{0});
      fixture_->transmitter->expect(std::move(bytes));
      EXPECT_TRUE(burst.push(frame));
    }
    const std::uint32_t taken = fixture_->tx.tx_burst(burst);
    fixture_->look();
    burst.drop(left_);
    return taken;
  }
  [[nodiscard]] std::vector<MbufPtr> packets(std::size_t count, std::uint32_t bytes) {
    std::vector<MbufPtr> frames;
    for (std::size_t i = 0; i < count; ++i) frames.push_back(requesting(tcp4_of(bytes), kLongTso4));
    return frames;
  }
  [[nodiscard]] std::size_t requests_of(const Request& what) const {
    return static_cast<std::size_t>(std::count(card().requests().begin(), card().requests().end(), what));
  }

  const Request tcp_{tx::kSegment | kBoth,
                     {.mac_length = 14, .ip_length = 20, .l4_length = 20, .mss = 1448, .kind = kTcp4Kind}};
};

TEST_F(TxRepeatedSegments, AreDescribedAlikeHoweverLongTheyAre) {
  use_long_mbufs();
  std::size_t sent = 0;
  for (int round = 0; round < 12; ++round) {
    std::vector<MbufPtr> frames;
    for (const std::uint32_t bytes : {54 + 1448U, 9000U, kOneSlot - 1, kOneSlot, kOneSlot + 1, kLongest, kLongest - 7})
      frames.push_back(requesting(tcp4_of(bytes), kLongTso4));
    ASSERT_EQ(send_all(std::move(frames)), 7u) << round;
    sent += 7;
    process_all();
  }
  EXPECT_EQ(card().contexts(), 1u);
  EXPECT_EQ(requests_of(tcp_), sent);
  EXPECT_EQ(card().sent(), sent);
  expect_all_freed();
}

// Behind the context each packet starts at an odd slot, so some end in another group, and one around the ring's end.
TEST_F(TxRepeatedSegments, GoOnInTheNextGroupAndAroundTheRing) {
  for (const std::uint32_t ring : {8U, 16U, 64U, 128U}) {
    use_long_mbufs(ring);
    std::size_t sent = 0;
    for (std::uint32_t round = 0; round < 2 * ring; ++round) {
      const std::size_t burst = std::min(std::size_t{1} + round % 9, std::size_t{ring} * 3 / 8);
      ASSERT_EQ(send_all(packets(burst, kOneSlot + 100)), burst) << ring << ' ' << round;
      sent += burst;
      process_all();
    }
    EXPECT_EQ(card().contexts(), 1u);
    EXPECT_EQ(requests_of(tcp_), sent);
    expect_all_freed();
  }
}

TEST_F(TxRepeatedSegments, AreFreedOnceTheirLastSlotHasBeenSent) {
  use_long_mbufs();
  ASSERT_EQ(send_all(packets(16, kLongest)), 16u);
  ASSERT_EQ(fixture_->tx.in_flight(), 33u);
  const std::uint32_t in_use = fixture_->in_use();
  fixture_->transmitter->process(32);
  static_cast<void>(fixture_->tx.tx_done_cleanup());
  EXPECT_EQ(fixture_->tx.in_flight(), 33u) << "the first group ends inside the last packet";
  EXPECT_EQ(fixture_->in_use(), in_use);
  fixture_->transmitter->process(1);
  ASSERT_EQ(send_all(packets(1, kLongest)), 1u) << "a burst frees whole groups";
  EXPECT_EQ(fixture_->tx.in_flight(), 3u);
  expect_all_freed();
}

TEST_F(TxRepeatedSegments, TakeNoMoreThanTheRingHasRoomFor) {
  use_long_mbufs(16);
  Burst<64> burst;
  std::vector<MbufPtr> frames = packets(10, kLongest);
  for (std::size_t i = 0; i < frames.size(); ++i) {
    if (i < 7) {
      auto bytes = content(*frames[i]);
      std::fill_n(bytes.begin() + 16, 2, std::uint8_t{0});
      std::fill_n(bytes.begin() + 24, 2, std::uint8_t{0});
      fixture_->transmitter->expect(std::move(bytes));
    }
    ASSERT_TRUE(burst.push(frames[i]));
  }
  EXPECT_EQ(fixture_->tx.tx_burst(burst), 7u) << "15 slots: the context and two for each packet";
  EXPECT_EQ(burst.size(), 3u);
  fixture_->look();
  burst.drop(left_);
  expect_all_freed();
}

TEST_F(TxRepeatedSegments, APacketOfOneSegmentHasASizeOfItsOwn) {
  use_long_mbufs();
  ASSERT_EQ(send_all(packets(1, 9000)), 1u);
  ASSERT_EQ(send_all(packets(1, 54 + 1447)), 1u);
  process_all();
  EXPECT_EQ(card().contexts(), 2u);
  Request shorter = tcp_;
  shorter.context.mss = 1447;
  shorter.context.index = 1;
  EXPECT_EQ(requests_of(shorter), 1u);
  expect_all_freed();
}

TEST_F(TxRepeatedSegments, HeadersOfShortPacketsAreCheckedEachTime) {
  use_long_mbufs();
  TxOffload small = kLongTso4;
  small.segment_size = 134 - 54 - 1;
  ASSERT_EQ(send_all([&] {
              std::vector<MbufPtr> frames;
              frames.push_back(requesting(tcp4_of(200), small));
              return frames;
            }()),
            1u);
  MbufPtr lies = requesting(tcp4_of(200), small);
  lies->data()[46] = 0xF0;  // a TCP header of 60 bytes
  EXPECT_TRUE(send_and_expect(std::move(lies), {}));
  EXPECT_EQ(drops().bad_offload, 1u);
  expect_all_freed();
}

TEST_F(TxRepeatedSegments, OfIpv6AndUdpAreRepeatedToo) {
  use_long_mbufs();
  const auto tcp6 = [](packet::Builder& to) { to.ipv6({}).tcp({}); };
  const auto udp4 = [](packet::Builder& to) { to.ipv4({}).udp({}); };
  constexpr TxOffload kLongTso6{
      .flags = TxOffload::tcp_segmentation, .l2 = 14, .l3 = 40, .l4 = 20, .segment_size = 1428};
  constexpr TxOffload kLongUso4{
      .flags = TxOffload::udp_segmentation, .l2 = 14, .l3 = 20, .l4 = 8, .segment_size = 1400};
  for (int round = 0; round < 5; ++round) {
    std::vector<MbufPtr> frames;
    for (const std::uint32_t bytes : {10'000U, 40'000U})
      frames.push_back(requesting(packet_of(bytes, tcp6), kLongTso6));
    for (const std::uint32_t bytes : {10'000U, 40'000U})
      frames.push_back(requesting(packet_of(bytes, udp4), kLongUso4));
    ASSERT_EQ(send_all(std::move(frames)), 4u) << round;
    process_all();
  }
  EXPECT_EQ(card().contexts(), 2u);
  EXPECT_EQ(requests_of({tx::kSegment | tx::kInsertL4Checksum,
                         {.mac_length = 14, .ip_length = 40, .l4_length = 20, .mss = 1428, .kind = tx::kContextTcp}}),
            10u);
  EXPECT_EQ(requests_of({tx::kSegment | kBoth,
                         {.mac_length = 14,
                          .ip_length = 20,
                          .l4_length = 8,
                          .mss = 1400,
                          .kind = tx::kContextUdp | tx::kContextIpv4,
                          .index = 1}}),
            10u);
  expect_all_freed();
}

TEST_F(TxRepeatedSegments, OtherFramesMayComeBetween) {
  use_long_mbufs();
  std::vector<MbufPtr> frames;
  std::size_t plain = 0;
  for (std::size_t i = 0; i < 12; ++i) frames.push_back(requesting(tcp4_of(40'000), kLongTso4));
  Burst<64> burst;
  for (MbufPtr& frame : frames) {
    auto bytes = content(*frame);
    std::fill_n(bytes.begin() + 16, 2, std::uint8_t{0});
    std::fill_n(bytes.begin() + 24, 2, std::uint8_t{0});
    fixture_->transmitter->expect(std::move(bytes));
    ASSERT_TRUE(burst.push(frame));
    if (++plain % 3 != 0) continue;
    MbufPtr other = make(tcp4_of(80));
    fixture_->transmitter->expect(content(*other));
    ASSERT_TRUE(burst.push(other));
  }
  ASSERT_EQ(fixture_->tx.tx_burst(burst), 16u);
  fixture_->look();
  process_all();
  EXPECT_EQ(card().sent(), 16u);
  EXPECT_EQ(requests_of(tcp_), 12u);
  expect_all_freed();
}

}  // namespace
}  // namespace pollux::test
