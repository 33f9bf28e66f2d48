// SPDX-License-Identifier: BSD-3-Clause
// Frames that repeat a request for checksums: the first is checked, the others are as cheap as frames without a
// request.
#include "unit/intel_queues/tx_offload_fixture.hpp"

namespace pollux::test {
namespace {

namespace tx = hw::intel::tx;
using Request = StrictTransmitter::Request;

class TxRepeatTest : public TxOffloadTest {
 protected:
  static constexpr std::size_t kRepeats = 40;

  [[nodiscard]] static std::vector<std::uint8_t> udp4() {
    const std::vector<std::uint8_t> data(40, 0x5A);
    return built([&](packet::Builder& to) { to.ipv4({}).udp({}).payload(data); });
  }
  /// Sends the frames in one burst. The card must get each as it is now, without the IPv4 checksum.
  std::uint32_t send_all(std::vector<MbufPtr> frames) {
    Burst<64> burst;
    for (MbufPtr& frame : frames) {
      std::vector<std::uint8_t> bytes = content(*frame);
      if ((frame->tx_offload().flags & kIpv4) != 0) std::fill_n(bytes.begin() + 24, 2, std::uint8_t{0});
      fixture_->transmitter->expect(std::move(bytes));
      EXPECT_TRUE(burst.push(frame));
    }
    const std::uint32_t taken = fixture_->tx.tx_burst(burst);
    fixture_->look();
    burst.drop(left_);
    return taken;
  }
  [[nodiscard]] static std::vector<MbufPtr> one(MbufPtr frame) {
    std::vector<MbufPtr> frames;
    frames.push_back(std::move(frame));
    return frames;
  }
  [[nodiscard]] MbufPtr requesting(const std::vector<std::uint8_t>& bytes, const TxOffload& request) {
    MbufPtr frame = make(bytes);
    EXPECT_TRUE(request_checksums(*frame, request));
    return frame;
  }
  [[nodiscard]] std::size_t requests_of(const Request& what) const {
    return static_cast<std::size_t>(std::count(card().requests().begin(), card().requests().end(), what));
  }
};

constexpr TxOffload kUdp4{.flags = kIpv4 | TxOffload::udp_checksum, .l2 = 14, .l3 = 20};

TEST_F(TxRepeatTest, EveryFrameOfABurstIsDescribedAlike) {
  use({.tx_ring = 128});
  for (int round = 0; round < 5; ++round) {
    std::vector<MbufPtr> frames;
    for (std::size_t i = 0; i < kRepeats; ++i) frames.push_back(requesting(tcp4(20 + i), kTcp4));
    ASSERT_EQ(send_all(std::move(frames)), kRepeats) << round;
    process_all();
  }
  EXPECT_EQ(card().contexts(), 1u);
  EXPECT_EQ(requests_of({kBoth, {.mac_length = 14, .ip_length = 20, .kind = kTcp4Kind}}), 5 * kRepeats);
  EXPECT_EQ(card().requests().size(), 5 * kRepeats);
  expect_all_freed();
}

// Bytes and IOVAs of such a pool are not equally far from each other everywhere.
TEST_F(TxRepeatTest, ClearsTheChecksumInAPoolOfSeveralSegments) {
  use({.tx_ring = 1024, .split_memory = true, .cache = 64});
  std::vector<MbufPtr> frames;
  bool has_near = false;
  bool has_far = false;
  while (frames.size() < 600) {
    const auto bytes = tcp4(20);
    fixture_->receiver->write_back(bytes,
                                   hw::intel::rx::written_back({.length = static_cast<std::uint16_t>(bytes.size())}));
    Burst<1> burst;
    ASSERT_EQ(fixture_->rx.rx_burst(burst), 1u);
    fixture_->look();
    frames.push_back(burst.pop());
    (frames.back()->data_iova() < std::uint64_t{1} << 40 ? has_near : has_far) = true;
    ASSERT_TRUE(request_checksums(*frames.back(), kTcp4));
  }
  ASSERT_TRUE(has_near && has_far);
  while (!frames.empty()) {
    std::vector<MbufPtr> some(std::make_move_iterator(frames.end() - 40), std::make_move_iterator(frames.end()));
    frames.resize(frames.size() - 40);
    ASSERT_EQ(send_all(std::move(some)), 40u);
  }
  fixture_->transmitter->process(1024);
  EXPECT_EQ(card().requests().size(), 600u);
  expect_all_freed();
}

TEST_F(TxRepeatTest, TheMbufIsAPlainOneAgain) {
  use();
  ASSERT_TRUE(send(make(tcp4()), kTcp4));
  MbufPtr second = requesting(tcp4(), kTcp4);
  const Mbuf& sent = *second;
  ASSERT_TRUE(send_prepared(std::move(second)));
  EXPECT_EQ(sent.tx_offload(), TxOffload{}) << "the queue has the mbuf, and needs to reset nothing when it is freed";
  EXPECT_EQ(content(sent)[24], 0);
  process_all();
  expect_all_freed();
}

TEST_F(TxRepeatTest, TwoKindsMayAlternateWithoutAContext) {
  use({.tx_ring = 128});
  std::vector<MbufPtr> frames;
  for (std::size_t i = 0; i < kRepeats; ++i)
    frames.push_back(i % 3 == 0 ? requesting(udp4(), kUdp4) : requesting(tcp4(), kTcp4));
  ASSERT_EQ(send_all(std::move(frames)), kRepeats);
  process_all();
  EXPECT_EQ(card().contexts(), 2u);
  EXPECT_EQ(requests_of({kBoth, {.mac_length = 14, .ip_length = 20, .kind = tx::kContextUdp | tx::kContextIpv4}}), 14u);
  EXPECT_EQ(requests_of({kBoth, {.mac_length = 14, .ip_length = 20, .kind = kTcp4Kind, .index = 1}}), 26u);
  expect_all_freed();
}

// Bursts of one frame have a path of their own.
TEST_F(TxRepeatTest, FramesThatComeAloneAreDescribedAlike) {
  use({.tx_ring = 128});
  constexpr std::size_t kAlone = 400;
  for (std::size_t i = 0; i < kAlone; ++i) {
    const bool is_udp = i % 50 < 3;
    MbufPtr frame = is_udp ? requesting(udp4(), kUdp4) : requesting(tcp4(20 + i % 7), kTcp4);
    ASSERT_EQ(send_all(one(std::move(frame))), 1u) << i;
    if (i % 30 == 29) process_all();
  }
  process_all();
  EXPECT_EQ(card().contexts(), 2u);
  EXPECT_EQ(requests_of({kBoth, {.mac_length = 14, .ip_length = 20, .kind = tx::kContextUdp | tx::kContextIpv4}}), 24u);
  EXPECT_EQ(requests_of({kBoth, {.mac_length = 14, .ip_length = 20, .kind = kTcp4Kind, .index = 1}}), kAlone - 24);
  expect_all_freed();
}

TEST_F(TxRepeatTest, AFrameThatComesAloneStaysWithTheCallerIfThereIsNoRoom) {
  use({.tx_ring = 128});
  // Of 128 slots one is never used, and one has the context.
  for (int i = 0; i < 126; ++i) ASSERT_EQ(send_all(one(requesting(tcp4(), kTcp4))), 1u) << i;
  Burst<1> burst;
  MbufPtr frame = requesting(tcp4(), kTcp4);
  ASSERT_TRUE(burst.push(frame));
  ASSERT_EQ(fixture_->tx.tx_burst(burst), 0u);
  frame = burst.pop();
  EXPECT_EQ(frame->tx_offload(), kTcp4) << "it can be sent again";
  process_all();
  EXPECT_EQ(send_all(one(std::move(frame))), 1u);
  process_all();
  EXPECT_EQ(card().requests().size(), 127u);
  expect_all_freed();
}

TEST_F(TxRepeatTest, AReplacedContextIsNotRepeated) {
  use({.tx_ring = 128});
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(send(make(tcp4()), kTcp4));
    ASSERT_TRUE(send(make(udp4()), kUdp4));
    ASSERT_TRUE(send(make(udp6(), {62}), kUdp6)) << "the card has two contexts, and this chain needs a third";
    process_all();
  }
  EXPECT_EQ(card().contexts(), 9u);
  EXPECT_EQ(card().requests().size(), 9u);
  expect_all_freed();
}

TEST_F(TxRepeatTest, OtherFramesMayComeBetween) {
  use({.tx_ring = 128});
  std::vector<MbufPtr> frames;
  for (std::size_t i = 0; i < kRepeats; ++i) frames.push_back(i % 4 == 2 ? make(tcp4()) : requesting(tcp4(), kTcp4));
  ASSERT_EQ(send_all(std::move(frames)), kRepeats);
  process_all();
  EXPECT_EQ(card().requests().size(), kRepeats / 4 * 3);
  EXPECT_EQ(card().sent(), kRepeats);
  expect_all_freed();
}

TEST_F(TxRepeatTest, LengthsAreCheckedInEachFrame) {
  use();
  ASSERT_TRUE(send(make(tcp4()), kTcp4));
  const auto refused = [&](std::size_t payload, std::uint32_t trim, const TxOffload& request) {
    MbufPtr frame = make(tcp4(payload));
    frame->set_tx_offload(request);
    ASSERT_TRUE(frame->trim(trim));
    EXPECT_TRUE(send_prepared(std::move(frame), false));
  };
  refused(0, 4, kTcp4);
  EXPECT_EQ(drops().bad_offload, 1u) << "the checksum is cut off";
  TxOffload long_headers = kTcp4;
  long_headers.l3 = 60;
  refused(0, 0, long_headers);
  EXPECT_EQ(drops().bad_offload, 2u);
  expect_all_freed();
}

TEST_F(TxRepeatTest, FramesThatMayBePaddedAreCheckedAgain) {
  use();
  ASSERT_TRUE(send(make(tcp4(1)), kTcp4));
  ASSERT_EQ(card().contexts(), 1u);
  auto padded = tcp4(1);
  padded.resize(60, 0x77);
  MbufPtr frame = requesting(padded, kTcp4);
  MbufPtr same = requesting(padded, kTcp4);
  ASSERT_EQ(complete_checksums(*same), ChecksumCompletion::complete);
  EXPECT_TRUE(send_and_expect(std::move(frame), content(*same)));
  same.reset();
  process_all();
  EXPECT_EQ(card().requests().size(), 1u) << "software computed the second";
  expect_all_freed();
}

// The group of a repeated frame is cleaned without a look at its mbufs, so they must all be of the cache's pool.
TEST_F(TxRepeatTest, AnotherCacheEndsTheRepeats) {
  use({.tx_ring = 128});
  ASSERT_TRUE(send(make(tcp4()), kTcp4));
  Mempool other = Mempool::create(fixture_->fixture.context(), {.count = 128, .data_room = 2048}).value();
  {
    MempoolCache cache(other);
    ASSERT_TRUE(fixture_->tx.use_cache(cache));
    for (std::size_t i = 0; i < kRepeats; ++i) ASSERT_TRUE(send(make(tcp4()), kTcp4)) << i;
    process_all();
    static_cast<void>(fixture_->tx.tx_done_cleanup());
    EXPECT_EQ(fixture_->in_use(), in_ring_) << "they are back in the pool that they came from";
    ASSERT_TRUE(fixture_->tx.use_cache(*fixture_->cache_handle));
  }
  EXPECT_EQ(card().requests().size(), 1 + kRepeats);
  expect_all_freed();
}

}  // namespace
}  // namespace pollux::test
