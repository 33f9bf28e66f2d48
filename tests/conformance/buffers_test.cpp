// SPDX-License-Identifier: BSD-3-Clause
// Ownership of buffers: exhausted pools, clones, external buffers, frames that cannot be sent.
#include <algorithm>
#include <atomic>

#include "conformance/fixture.hpp"
#include "support/settings_edits.hpp"

namespace pollux::conformance {
namespace {

class Buffers : public Conformance {
 protected:
  /// Sends one mbuf on queue 0. It must be accepted, also if it is then dropped.
  void send_one(MbufPtr mbuf) {
    Burst<1> burst;
    ASSERT_TRUE(burst.push(mbuf));
    ASSERT_EQ(left().tx(0).tx_burst(burst), 1U);
  }
};

CONFORMANCE_TEST_WHERE(Buffers, SurvivesAnExhaustedPool,
                       traits.two_ports() && traits.delivers && !traits.is_zero_copy) {
  auto small = Mempool::create(*context_, {.count = 128});
  ASSERT_TRUE(small);
  start_both(config(), config(*small));
  if (traits().by_file) {
    send(left(), make_frames(32, 60));
    right_.reset();
    right_ = open_port(pair().right);
    ASSERT_TRUE(test::configure_port(right(), config(*small)));
    ASSERT_TRUE(right().start());
  }
  std::vector<MbufPtr> stolen;
  while (MbufPtr mbuf = small->allocate()) stolen.push_back(std::move(mbuf));
  // The port can still use the mbufs in its own caches.
  const std::uint64_t failures = small->stats().allocation_failures;
  std::vector<Bytes> frames = make_frames(32, 60);
  std::vector<MbufPtr> held;
  if (!traits().by_file) send(left(), frames);
  const auto exhausted = wait_until(context_->clock(), "exhaustion of the pool", std::chrono::seconds(10), [&] {
    Burst<32> burst;
    right().rx(0).rx_burst(burst);
    while (!burst.empty()) held.push_back(burst.pop());
    pass_time();
    if (held.size() >= 32) return true;
    return traits().drops_when_exhausted ? drops(right(), "rx_pool_empty") != 0
                                         : small->stats().allocation_failures > failures;
  });
  ASSERT_TRUE(exhausted) << exhausted.error().message();
  const std::uint64_t lost = traits().drops_when_exhausted ? drops(right(), "rx_pool_empty") : 0;
  const std::size_t before = held.size();
  held.clear();
  stolen.clear();
  // The port resumes automatically. A port at which frames wait has lost none.
  if (traits().drops_when_exhausted) {
    EXPECT_LE(before + lost, 32U);
    EXPECT_EQ(receive(right(), 32 - before - lost).size(), 32 - before - lost);
    EXPECT_EQ(exchange(left(), right(), frames), frames);
  } else {
    EXPECT_EQ(receive(right(), 32 - before).size(), 32 - before);
  }
  right_.reset();
  EXPECT_EQ(small->stats().in_use(), 0U);
}

CONFORMANCE_TEST(Buffers, SendsClonesWithoutChangingTheOriginal) {
  start_both();
  const Bytes frame = make_frame(300, 5);
  MbufPtr original = make_mbuf(frame);
  for (int i = 0; i < 3; ++i) send_one(original->clone(*cache_));
  EXPECT_EQ(content(*original), frame);
  if (traits().delivers && !traits().by_file) {
    // A receiver may write into what it received.
    std::uint32_t received = 0;
    for (int polls = 0; polls < 200'000 && received < 3; ++polls) {
      Burst<4> burst;
      right().rx(0).rx_burst(burst);
      for (Mbuf& mbuf : burst) {
        EXPECT_EQ(content(mbuf), frame);
        EXPECT_FALSE(mbuf.is_shared());
        std::fill(mbuf.bytes().begin(), mbuf.bytes().end(), std::uint8_t{0});
        ++received;
      }
      DropCounter checked("checked");
      burst.drop(checked);
      if (received < 3) pass_time();
    }
    EXPECT_EQ(received, 3U);
  }
  settle(left());
  EXPECT_EQ(content(*original), frame);
  EXPECT_FALSE(original->is_shared());
  send_one(std::move(original));
  settle(left());
}

CONFORMANCE_TEST(Buffers, SendsMemoryOfTheApplication) {
  auto memory = context_->allocate({.size = 4096, .purpose = "frames"});
  ASSERT_TRUE(memory);
  start_both();
  const Bytes frame = make_frame(700, 3);
  std::copy(frame.begin(), frame.end(), reinterpret_cast<std::uint8_t*>(memory->segments().front().address) + 128);
  std::atomic<int> freed{0};
  const auto free = [](void* opaque, std::uint8_t*) noexcept { ++*static_cast<std::atomic<int>*>(opaque); };
  MbufPtr mbuf = cache_->allocate();
  ASSERT_TRUE(mbuf->attach_external(*memory, 128, frame.size(), free, &freed));
  send_one(std::move(mbuf));
  if (traits().delivers && !traits().by_file) {
    EXPECT_EQ(receive(right(), 1), std::vector<Bytes>{frame});
  }
  settle(left());
  EXPECT_EQ(freed, 1);
}

CONFORMANCE_TEST(Buffers, CountsFramesThatItCannotSend) {
  start_both();
  const PortLimits limits = left().info().limits;
  const auto expect_dropped = [&](const char* name, MbufPtr mbuf) {
    const std::uint64_t before = drops(left(), name);
    const std::uint32_t out = pool_->stats().in_use();
    const std::uint32_t segments = mbuf->segments();
    send_one(std::move(mbuf));
    EXPECT_EQ(drops(left(), name), before + 1) << name;
    EXPECT_EQ(pool_->stats().in_use(), out - segments) << name;
  };
  expect_dropped("tx_too_short", make_mbuf(Bytes(limits.min_frame - 1)));
  expect_dropped("tx_too_short", cache_->allocate());
  // Longer than the port's largest MTU allows.
  expect_dropped("tx_too_long", make_mbuf(Bytes(std::size_t{limits.max_mtu} + 32)));
  MbufPtr with_gap = make_mbuf(make_frame(60, 0));
  MbufPtr gap = cache_->allocate();
  ASSERT_TRUE(with_gap->chain(gap));
  expect_dropped("tx_bad_segment", std::move(with_gap));
  MbufPtr offloaded = make_mbuf(make_frame(60, 0));
  offloaded->set_tx_offload({.flags = 1U << 31});  // no request that exists
  expect_dropped("tx_unsupported_offload", std::move(offloaded));
  if (limits.max_tx_segments < 255) {
    expect_dropped("tx_too_many_segments", make_mbuf(Bytes(limits.max_tx_segments + 1), 1));
  }
  EXPECT_EQ(left().stats().tx_packets, 0U);
}

CONFORMANCE_TEST(Buffers, RefusesMbufsOfAnotherContext) {
  start_both();
  Context other;
  auto pool = Mempool::create(other, {.count = 64});
  ASSERT_TRUE(pool);
  {
    MbufPtr foreign = pool->allocate();
    ASSERT_NE(foreign->append(60), nullptr);
    send_one(std::move(foreign));
  }
  EXPECT_EQ(drops(left(), "tx_unreachable"), 1U);
  EXPECT_EQ(pool->stats().in_use(), 0U);
  clear_misuse();
}

CONFORMANCE_TEST(Buffers, ReceivesOnlyWithACacheOfItsPool) {
  start_both();
  auto other = Mempool::create(*context_, {.count = 256});
  ASSERT_TRUE(other);
  const MempoolCache other_cache(*other, 64);
  const MempoolCache own_cache(*pool_, 64);
  const auto refused = right().rx(0).use_cache(other_cache);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
  EXPECT_TRUE(right().rx(0).use_cache(own_cache));
  EXPECT_TRUE(left().tx(0).use_cache(other_cache));  // frames of any pool may be sent
  if (traits().delivers && !traits().by_file) {
    EXPECT_EQ(exchange(left(), right(), make_frames(100, 60)), make_frames(100, 60));
  }
  settle(left());
  EXPECT_TRUE(left().tx(0).use_cache(own_cache));
  Context foreign;
  auto elsewhere = Mempool::create(foreign, {.count = 64});
  ASSERT_TRUE(elsewhere);
  EXPECT_FALSE(left().tx(0).use_cache(MempoolCache(*elsewhere)));
}

CONFORMANCE_TEST_WHERE(Buffers, ForwardsReceivedFramesBack, traits.bidirectional) {
  start_both();
  const std::vector<Bytes> frames = make_frames(30, 128);
  send(left(), frames);
  std::uint32_t forwarded = 0;
  for (int polls = 0; polls < 200'000 && forwarded < frames.size(); ++polls) {
    Burst<32> burst;
    if (right().rx(0).rx_burst(burst) == 0) pass_time();
    while (!burst.empty()) forwarded += right().tx(0).tx_burst(burst);
  }
  EXPECT_EQ(forwarded, frames.size());
  EXPECT_EQ(receive(left(), frames.size()), frames);
  settle(right());
}

}  // namespace
}  // namespace pollux::conformance
