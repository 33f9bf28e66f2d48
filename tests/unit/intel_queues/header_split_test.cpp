// SPDX-License-Identifier: BSD-3-Clause
// A queue whose card splits frames, on a card that checks each buffer that it is given.
#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>
#include <random>
#include <span>
#include <utility>
#include <vector>

#include "unit/intel_queues/queue_fixture.hpp"

namespace pollux::test {
namespace {

namespace rx = hw::intel::rx;

constexpr std::uint64_t kEnd = rx::kDone | rx::kEndOfPacket;
constexpr int kEmptyPolls = 1000;
constexpr std::uint32_t kHeaderBytes = 128;
constexpr std::uint32_t kBufferBytes = 2048;

class SplitQueue : public testing::Test {
 protected:
  using Bytes = std::vector<std::uint8_t>;

  void use(CardFixtureOptions options = {}) {
    options.headers = MempoolOptions{.count = 400, .data_room = kHeaderBytes, .name = "headers"};
    fixture_.emplace(options);
    fixture_->start();
  }
  [[nodiscard]] static hw::intel::Descriptor descriptor(std::size_t header, std::size_t length,
                                                        std::uint64_t status = kEnd) {
    return rx::written_back({.status = status,
                             .length = static_cast<std::uint16_t>(length),
                             .header_length = static_cast<std::uint16_t>(header),
                             .split_header = header != 0});
  }
  /// The card receives a frame of `header` + `payload` bytes.
  Bytes receive(std::size_t header, std::size_t payload) {
    Bytes frame(header + payload);
    for (std::uint8_t& byte : frame) byte = static_cast<std::uint8_t>(next_byte_++ * 7);
    std::span<const std::uint8_t> rest(frame);
    std::span<const std::uint8_t> first = rest.first(header);
    rest = rest.subspan(header);
    std::size_t reported = header;
    do {
      const auto part = rest.first(std::min<std::size_t>(rest.size(), kBufferBytes));
      rest = rest.subspan(part.size());
      const std::uint64_t status = rest.empty() ? kEnd : rx::kDone;
      fixture_->receiver->write_back(first, part, descriptor(reported, part.size(), status));
      first = {};
      // QEMU's card repeats the header in later descriptors, silicon does not.
      if (next_byte_ % 2 == 0) reported = 0;
    } while (!rest.empty());
    return frame;
  }
  [[nodiscard]] std::uint32_t poll() {
    Burst<64> burst;
    const std::uint32_t count = fixture_->rx.rx_burst(burst);
    fixture_->look();
    for (const Mbuf& mbuf : burst) {
      Bytes bytes(mbuf.packet_length());
      EXPECT_EQ(mbuf.copy_out(0, bytes), bytes.size());
      received_.push_back(std::move(bytes));
    }
    burst.drop(done_);
    return count;
  }

  std::optional<QueueFixture> fixture_;
  std::deque<Bytes> received_;
  DropCounter done_{"done"};
  std::uint32_t next_byte_ = 0;
};

TEST_F(SplitQueue, GivesTheCardTwoFreshBuffersWithEachDescriptor) {
  std::minstd_rand random(7);
  for (const bool remote : {false, true}) {
    use({.rx_ring = 32, .remote = remote});
    std::deque<Bytes> sent;
    for (int i = 0; i < 3000; ++i) {
      const std::size_t header = random() % 3 == 0 ? 0 : 14 + random() % (kHeaderBytes - 13);
      const std::size_t payload =
          random() % 8 == 0 && header != 0 ? 0 : 1 + random() % (random() % 5 == 0 ? 9000 : 200);
      if (fixture_->receiver->owned() >= 6) sent.push_back(receive(header, payload));
      if (random() % 4 == 0) static_cast<void>(poll());
    }
    while (poll() != 0) continue;
    EXPECT_GT(sent.size(), 1000U);
    EXPECT_EQ(received_, sent);
    EXPECT_EQ(fixture_->rx.packets(), sent.size());
    EXPECT_EQ(fixture_->rx.drops().sum(), 0U);
    EXPECT_EQ(fixture_->errors(), "");
    received_.clear();
    fixture_->close();
    EXPECT_EQ(fixture_->rx.drain(), 2U * 32);
    EXPECT_EQ(fixture_->headers->stats().in_use(), 0U);
  }
}

// [I-ZEROLEN] The store leaves the addresses with which the slot was armed, which look like lengths and headers.
TEST_F(SplitQueue, WaitsWhileASlotHasTheLastStoreOfAnEarlierWriteBack) {
  // With these addresses the store looks like a frame of one byte and more.
  use({.rx_ring = 8, .rx_head = true, .reach = {0x180000000, 0x1FFFFFFFF}});
  for (int lap = 0; lap < 20; ++lap) {
    fixture_->receiver->begin_write_back(kEnd);
    for (int i = 0; i < kEmptyPolls; ++i) ASSERT_EQ(poll(), 0U);
    EXPECT_EQ(fixture_->rdh.reads, static_cast<unsigned>(lap) + 1);
    const Bytes frame = receive(54, lap % 2 == 0 ? 0 : 100);
    EXPECT_EQ(poll(), 1U);
    EXPECT_EQ(received_.back(), frame);
  }
  EXPECT_EQ(fixture_->rx.drops().bad_length, 0U);
  EXPECT_EQ(fixture_->errors(), "");
}

TEST_F(SplitQueue, CountsSuchASlotAsBadIfTheCardIsBeyondIt) {
  use({.rx_ring = 8, .reach = {0x180000000, 0x1FFFFFFFF}});
  fixture_->receiver->begin_write_back(kEnd);
  for (int i = 1; i < kEmptyPolls; ++i) ASSERT_EQ(poll(), 0U);
  EXPECT_EQ(fixture_->rx.drops().bad_length, 0U);
  EXPECT_EQ(poll(), 0U);
  EXPECT_EQ(fixture_->rx.drops().bad_length, 1U);
}

TEST_F(SplitQueue, WaitsForALengthThatIsMissing) {
  use({.rx_ring = 8});
  fixture_->receiver->write_back({}, {}, descriptor(0, 0));
  for (int i = 1; i < kEmptyPolls; ++i) ASSERT_EQ(poll(), 0U);
  EXPECT_EQ(poll(), 0U);
  EXPECT_EQ(fixture_->rx.drops().bad_length, 1U);
}

TEST_F(SplitQueue, CountsOnlyFramesWhenItIsDrained) {
  use({.rx_ring = 8, .reach = {0x180000000, 0x1FFFFFFFF}});
  receive(54, 100);
  receive(54, 0);
  receive(0, 60);
  fixture_->receiver->begin_write_back(kEnd);
  fixture_->close();
  EXPECT_EQ(fixture_->rx.drain(), 16U);
  EXPECT_EQ(fixture_->rx.drops().stopped, 3U);
  EXPECT_EQ(fixture_->headers->stats().in_use(), 0U);
}

// Whatever is in the descriptors, no frame reaches beyond its buffers, and each buffer has one owner.
TEST_F(SplitQueue, SurvivesArbitraryDescriptors) {
  std::mt19937_64 random(11);
  use({.rx_ring = 16, .pool = {.count = 60, .name = "rx"}});
  const std::span ring(reinterpret_cast<hw::intel::Descriptor*>(fixture_->rings.segments()[0].address), 16);
  DropCounter done("done");
  std::uint64_t frames = 0;
  std::uint64_t chains = 0;
  for (int i = 0; i < 30000; ++i) {
    hw::intel::Descriptor& slot = ring[random() % ring.size()];
    switch (random() % 8) {
      case 0: slot.hi = random(); break;
      case 1: slot.lo = random(); break;
      case 2: slot = descriptor(random() % 300, random() % 2300, random() & 0xFFFFFFFF); break;
      default: slot = descriptor(random() % 140, random() % 2100, random() % 3 == 0 ? rx::kDone : kEnd);
    }
    if (i % 8 != 0) continue;
    Burst<64> burst;
    fixture_->rx.rx_burst(burst);
    for (const Mbuf& frame : burst) {
      std::uint32_t bytes = 0;
      std::uint32_t segments = 0;
      for (const Mbuf* segment = &frame; segment != nullptr; segment = segment->next()) {
        ASSERT_GT(segment->length(), 0U);
        ASSERT_LE(segment->length(), segment->capacity() > 1024 ? kBufferBytes : kHeaderBytes);
        bytes += segment->length();
        ++segments;
      }
      ASSERT_EQ(bytes, frame.packet_length());
      ASSERT_EQ(segments, frame.segments());
      ++frames;
      chains += segments > 1 ? 1 : 0;
    }
    burst.drop(done);
  }
  EXPECT_GT(frames, 1000U);
  EXPECT_GT(chains, 100U);
  EXPECT_GT(fixture_->rx.drops().bad_length, 100U);
  constexpr auto kLimit = std::chrono::milliseconds(10);
  ASSERT_TRUE(fixture_->rx.close(fixture_->clock, kLimit));
  fixture_->rx.drain();
  EXPECT_EQ(fixture_->headers->stats().in_use(), 0U);
  EXPECT_TRUE(fixture_->fixture.misuses().empty());
}

TEST_F(SplitQueue, FreesAFrameOfWhichOnlyTheFirstPartCame) {
  use({.rx_ring = 8});
  const Bytes part(kBufferBytes);
  fixture_->receiver->write_back(Bytes(54), part, descriptor(54, part.size(), rx::kDone));
  EXPECT_EQ(poll(), 0U);
  fixture_->close();
  EXPECT_EQ(fixture_->rx.drain(), 16U + 2);
  EXPECT_EQ(fixture_->headers->stats().in_use(), 0U);
  EXPECT_EQ(fixture_->errors(), "");
}

}  // namespace
}  // namespace pollux::test
