// SPDX-License-Identifier: BSD-3-Clause
// A forward path on a strict card. Every frame is forwarded or counted as a drop, no buffer is lost, and each SIMD mode
// does exactly what the scalar one does.
#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <optional>
#include <random>

#include "drivers/intel/forward/forward_queue.hpp"
#include "pollux/net/burst_mode.hpp"
#include "support/burst_modes.hpp"
#include "unit/intel_queues/frame_source.hpp"
#include "unit/intel_queues/queue_fixture.hpp"
#include "unit/mem/machine.hpp"

namespace pollux::test {
namespace {

constexpr std::uint32_t kRounds = kSanitized || POLLUX_CHECKED != 0 ? 400 : 3000;

std::uint64_t sum(const RxDrops& drops) { return drops.sum(); }

struct ForwardOptions {
  CardFixtureOptions fixture;
  std::uint32_t seed = 1;
  bool hostile = false;
};

class ForwardRun {
 public:
  explicit ForwardRun(const ForwardOptions& options)
      : options_(options),
        random_(options.seed),
        fixture_(options.fixture),
        source_(random_, {.buffer_bytes = (fixture_.pool->buffer_size() - fixture_.pool->data_offset()) / 1024 * 1024,
                          .hostile = options.hostile}) {
    path_.emplace(nullptr, fixture_.rx, nullptr, fixture_.tx);
  }

  std::uint64_t run() {
    fixture_.start();
    for (std::uint32_t i = 0; i < kRounds && !testing::Test::HasFailure(); ++i) {
      round();
      if (i % 500 == 499) stop_and_start();
    }
    finish_traffic();
    return transcript_;
  }

 private:
  [[nodiscard]] std::uint32_t below(std::uint32_t limit) { return static_cast<std::uint32_t>(random_() % limit); }
  void note(std::uint64_t value) { transcript_ = (transcript_ ^ value) * 0x100000001B3; }

  void round() {
    const std::size_t before = arrived_.size();
    source_.deliver(*fixture_.receiver, below(3) == 0 ? below(4) : below(options_.fixture.rx_ring), arrived_);
    received_ += arrived_.size() - before;
    forward(below(2) == 0 ? below(4) * ForwardPath::kMaxBurst : below(40));
    fixture_.transmitter->process(below(options_.fixture.tx_ring));
    Burst<4> nothing;
    ASSERT_EQ(fixture_.rx.rx_burst(nothing), 0u) << "the path polls the queue";
    ASSERT_EQ(fixture_.errors(), "");
    ASSERT_LE(fixture_.rx.packets() + sum(fixture_.rx.drops()), received_ + (source_.frame_begun() ? 1 : 0));
    const auto* const words = reinterpret_cast<const std::uint64_t*>(fixture_.rings.segments().front().address);
    const std::size_t descriptors = std::size_t{options_.fixture.rx_ring} + options_.fixture.tx_ring;
    for (std::size_t i = 0; i < 2 * descriptors; ++i) note(words[i]);
  }

  void forward(std::uint32_t limit) {
    std::uint32_t shown = 0;
    const std::uint32_t count = path_->burst(limit, [&](ForwardedFrame& frame) {
      ++shown;
      on_forwarded(frame);
    });
    ASSERT_EQ(count, shown);
    ASSERT_LE(count, std::min(limit, ForwardPath::kMaxBurst));
    forwarded_ += count;
    note(count);
    fixture_.look();
    // Dropped frames are counted as taken, and by reason.
    ASSERT_EQ(fixture_.tx.packets(),
              forwarded_ + fixture_.tx.drops().rejected() + fixture_.tx.drops().stopped - unreported_);
  }

  // Finds the frame among those that arrived. The frames before it have been dropped.
  void on_forwarded(ForwardedFrame& frame) {
    while (!arrived_.empty() && !matches(arrived_.front(), frame)) arrived_.pop_front();
    ASSERT_FALSE(arrived_.empty()) << "the frame never arrived, or with other contents";
    std::vector<std::uint8_t> bytes = std::move(arrived_.front().bytes);
    arrived_.pop_front();
    frame.data[0] ^= 0x5A;
    bytes[0] ^= 0x5A;
    fixture_.transmitter->expect(std::move(bytes));
  }

  static bool matches(const WireFrame& arrived, const ForwardedFrame& frame) {
    return arrived.outcome == RxOutcome::good && arrived.bytes.size() == frame.packet_length &&
           arrived.pieces.front().to - arrived.pieces.front().from == frame.length &&
           std::equal(frame.data, frame.data + frame.length, arrived.bytes.begin());
  }

  void stop_and_start() {
    fixture_.close();
    fixture_.drain();
    ASSERT_EQ(fixture_.in_use(), 0u) << "the spare buffers must be freed, too";
    unreported_ = forwarded_ - fixture_.transmitter->reported();
    ASSERT_GE(fixture_.tx.drops().stopped, unreported_);
    ASSERT_LE(fixture_.tx.drops().stopped, unreported_ + 3) << "plus one waiting frame per stop";
    // An incomplete frame may already have been dropped.
    const std::uint64_t named = fixture_.rx.packets() + sum(fixture_.rx.drops());
    ASSERT_GE(named, received_) << "a frame is not counted";
    ASSERT_LE(named, received_ + (source_.frame_begun() ? 1 : 0));
    source_.forget();
    arrived_.clear();
    fixture_.transmitter->expect_no_more();
    received_ = named;
    fixture_.start();
    ASSERT_EQ(fixture_.in_use(), options_.fixture.rx_ring + options_.fixture.tx_ring);
  }

  // After the path is destroyed, the queues' own bursts work again, and every buffer that is not in a ring is free.
  void finish_traffic() {
    for (int i = 0; i < 1000 && (source_.frame_begun() || fixture_.receiver->write_back_begun() || i < 100); ++i) {
      if (source_.frame_begun() || fixture_.receiver->write_back_begun()) {
        const std::size_t before = arrived_.size();
        source_.deliver(*fixture_.receiver, 1, arrived_);
        received_ += arrived_.size() - before;
      }
      forward(ForwardPath::kMaxBurst);
      fixture_.transmitter->process(options_.fixture.tx_ring);
    }
    path_.reset();
    static_cast<void>(fixture_.tx.tx_done_cleanup());
    ASSERT_EQ(fixture_.tx.in_flight(), 0u);
    ASSERT_EQ(fixture_.in_use(), options_.fixture.rx_ring);
    ASSERT_EQ(fixture_.rx.packets() + sum(fixture_.rx.drops()), received_) << "a frame is not counted";
    ASSERT_EQ(fixture_.transmitter->expected(), 0u) << "a forwarded frame was not sent";
    const RxDrops drops = fixture_.rx.drops();
    EXPECT_TRUE(options_.hostile || drops.bad_length + drops.error + drops.too_many_segments == 0);
    Burst<32> burst;
    const std::size_t segments = 9500 / 1024 + 1;
    if (fixture_.receiver->owned() > segments) {
      source_.deliver_good(*fixture_.receiver, arrived_);
      ASSERT_EQ(fixture_.rx.rx_burst(burst), 1u) << "the queue's own burst works again";
      DropCounter inspected("inspected");
      burst.drop(inspected);
    }
    fixture_.close();
    fixture_.drain();
    ASSERT_EQ(fixture_.in_use(), 0u);
    ASSERT_EQ(fixture_.errors(), "");
    EXPECT_GT(forwarded_, kRounds / 4);
  }

  ForwardOptions options_;
  std::mt19937 random_;
  QueueFixture fixture_;
  FrameSource source_;
  std::optional<drivers::intel::ForwardQueue> path_;
  std::deque<WireFrame> arrived_;
  std::uint64_t received_ = 0;
  std::uint64_t forwarded_ = 0;
  std::uint64_t unreported_ = 0;  // forwarded frames that a stop left unsent
  std::uint64_t transcript_ = 0xCBF29CE484222325;
};

ForwardOptions options_for(std::uint32_t seed) {
  constexpr std::uint32_t kRxRings[] = {16, 32, 64, 128, 512, 8};
  constexpr std::uint32_t kTxRings[] = {128, 512, 256, 64, 1024};
  ForwardOptions options;
  options.seed = seed * 7919;
  options.hostile = seed % 2 == 0;
  options.fixture.rx_ring = kRxRings[seed % 6];
  options.fixture.tx_ring = kTxRings[seed % 5];
  options.fixture.remote = seed % 4 == 3;
  options.fixture.cache = 64;
  // The smallest limit is below the buffer size, so that a frame in one buffer can be too long to send.
  constexpr std::uint32_t kMaxFrames[] = {9500, 9500, 9500, 900, 9500, 4100, 9500};
  options.fixture.max_frame = kMaxFrames[seed % 7];
  const std::uint32_t spare = seed % 9 == 4 ? 40 : 1000;
  options.fixture.pool = {.count = options.fixture.rx_ring + options.fixture.tx_ring + spare,
                          .data_room = seed % 3 == 1 ? 1024U : 2048U,
                          .name = "rx"};
  return options;
}

std::uint64_t run(ForwardOptions options, BurstMode mode) {
  options.fixture.mode = mode;
  return ForwardRun(options).run();
}

class Forward : public testing::TestWithParam<std::uint32_t> {};

TEST_P(Forward, MovesEveryFrame) {
  SCOPED_TRACE(fmt::format("seed {}", GetParam()));
  run(options_for(GetParam()), BurstMode::scalar);
}

TEST_P(Forward, ComputesAddressesInSplitMemory) {
  ForwardOptions options = options_for(GetParam());
  options.fixture.split_memory = true;
  run(options, BurstMode::best);
}

// A frame that cannot be sent yet needs no new buffer, so an exhausted pool must not drop it.
TEST(ForwardStall, LosesNothingToAFullTransmitRingAndAnExhaustedPool) {
  constexpr std::uint32_t kRing = 64;
  CardFixtureOptions options{
      .rx_ring = kRing, .tx_ring = kRing, .pool = {.count = 2 * kRing, .data_room = 2048, .name = "rx"}};
  QueueFixture fixture(options);
  const std::vector<std::uint8_t> frame(64, 0xA5);
  const hw::intel::Descriptor complete{0, hw::intel::rx::kDone | hw::intel::rx::kEndOfPacket |
                                              std::uint64_t{frame.size()} << hw::intel::rx::kLengthShift};
  drivers::intel::ForwardQueue path(nullptr, fixture.rx, nullptr, fixture.tx);
  fixture.start();
  std::uint32_t delivered = 0;
  std::uint32_t forwarded = 0;
  const auto forward = [&] {
    fixture.look();
    return path.burst(ForwardPath::kMaxBurst, [&](ForwardedFrame&) { fixture.transmitter->expect(frame); });
  };
  // The card sends nothing. The transmit ring fills up, and then frames remain in the receive ring.
  for (std::uint32_t i = 0; i < 4 * kRing && fixture.receiver->owned() > 4; ++i) {
    fixture.receiver->write_back(frame, complete);
    ++delivered;
    forwarded += forward();
  }
  ASSERT_LT(forwarded, delivered);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(forward(), 0u);
  EXPECT_EQ(sum(fixture.rx.drops()), 0u);
  for (int i = 0; i < 10; ++i) {
    fixture.look();
    fixture.transmitter->process(kRing);
    forwarded += forward();
  }
  EXPECT_EQ(forwarded, delivered);
  EXPECT_EQ(fixture.errors(), "");
}

constexpr std::uint32_t kForwardSeeds = 12;
INSTANTIATE_TEST_SUITE_P(, Forward, testing::Range(1u, kForwardSeeds + 1));

class ForwardSimd : public testing::TestWithParam<BurstMode> {};

TEST_P(ForwardSimd, MovesEveryFrameAsTheScalarLoopDoes) {
  if (!processor_has(GetParam())) GTEST_SKIP() << "this processor has no " << name(GetParam());
  for (std::uint32_t seed = 1; seed <= kForwardSeeds && !HasFailure(); ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    EXPECT_EQ(run(options_for(seed), GetParam()), run(options_for(seed), BurstMode::scalar));
  }
}

INSTANTIATE_TEST_SUITE_P(, ForwardSimd, testing::ValuesIn(kSimdModes),
                         [](const auto& param) { return std::string(name(param.param)); });

}  // namespace
}  // namespace pollux::test
