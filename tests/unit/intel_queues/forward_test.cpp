// SPDX-License-Identifier: BSD-3-Clause
// A forward path between the two ends of a strict card: every frame goes through or has a name, every buffer is where
// it belongs, and each wide path does what the scalar one does.
#include <fmt/format.h>

#include <deque>
#include <optional>
#include <random>

#include "drivers/intel/forward/forward_queue.hpp"
#include "pollux/net/burst_path.hpp"
#include "support/burst_paths.hpp"
#include "unit/intel_queues/frame_source.hpp"
#include "unit/intel_queues/queue_lab.hpp"
#include "unit/mem/machine.hpp"

namespace pollux::test {
namespace {

constexpr std::uint32_t kRounds = kSanitized || POLLUX_CHECKED != 0 ? 400 : 3000;

std::uint64_t sum(const drivers::intel::RxDrops& drops) { return drops.sum(); }

struct ForwardOptions {
  LabOptions lab;
  std::uint32_t seed = 1;
  bool hostile = false;
};

class ForwardRun {
 public:
  explicit ForwardRun(const ForwardOptions& options)
      : options_(options),
        random_(options.seed),
        lab_(options.lab),
        source_(random_, {.buffer_bytes = (lab_.pool->buffer_size() - lab_.pool->data_offset()) / 1024 * 1024,
                          .hostile = options.hostile}) {
    path_.emplace(nullptr, lab_.rx, nullptr, lab_.tx);
  }

  std::uint64_t run() {
    lab_.start();
    for (std::uint32_t i = 0; i < kRounds && !testing::Test::HasFailure(); ++i) {
      round();
      if (i % 500 == 499) stop_and_start();
    }
    come_to_rest();
    return transcript_;
  }

 private:
  [[nodiscard]] std::uint32_t below(std::uint32_t limit) { return static_cast<std::uint32_t>(random_() % limit); }
  void note(std::uint64_t value) { transcript_ = (transcript_ ^ value) * 0x100000001B3; }

  void round() {
    const std::size_t before = arrived_.size();
    source_.deliver(*lab_.receiver, below(3) == 0 ? below(4) : below(options_.lab.rx_ring), arrived_);
    received_ += arrived_.size() - before;
    forward(below(2) == 0 ? ForwardPath::kMaxBurst : below(40));
    lab_.transmitter->process(below(options_.lab.tx_ring));
    Burst<4> nothing;
    ASSERT_EQ(lab_.rx.rx_burst(nothing), 0u) << "the queue is the path's";
    ASSERT_EQ(lab_.complaints(), "");
    ASSERT_LE(lab_.rx.packets() + sum(lab_.rx.drops()), received_ + (source_.in_the_middle() ? 1 : 0));
    const auto* const words = reinterpret_cast<const std::uint64_t*>(lab_.rings.segments().front().address);
    const std::size_t descriptors = std::size_t{options_.lab.rx_ring} + options_.lab.tx_ring;
    for (std::size_t i = 0; i < 2 * descriptors; ++i) note(words[i]);
  }

  void forward(std::uint32_t limit) {
    std::uint32_t shown = 0;
    const std::uint32_t count = path_->burst(limit, [&](ForwardedFrame& frame) {
      ++shown;
      show(frame);
    });
    ASSERT_EQ(count, shown);
    ASSERT_LE(count, limit);
    forwarded_ += count;
    note(count);
    lab_.look();
    // Frames that the card must not send are counted as taken, and by reason.
    ASSERT_EQ(lab_.tx.packets(), forwarded_ + lab_.tx.drops().refused() + lab_.tx.drops().stopped - unreported_);
  }

  // The frame's place in the order of arrival, behind those that were thrown away.
  void show(ForwardedFrame& frame) {
    while (!arrived_.empty() && !is(arrived_.front(), frame)) arrived_.pop_front();
    ASSERT_FALSE(arrived_.empty()) << "a frame that never arrived, or not like this";
    std::vector<std::uint8_t> bytes = std::move(arrived_.front().bytes);
    arrived_.pop_front();
    frame.data[0] ^= 0x5A;
    bytes[0] ^= 0x5A;
    lab_.transmitter->expect(std::move(bytes));
  }

  static bool is(const WireFrame& arrived, const ForwardedFrame& frame) {
    return arrived.fate == RxFate::good && arrived.bytes.size() == frame.packet_length &&
           arrived.pieces.front().to - arrived.pieces.front().from == frame.length &&
           std::equal(frame.data, frame.data + frame.length, arrived.bytes.begin());
  }

  void stop_and_start() {
    lab_.close();
    lab_.drain();
    ASSERT_EQ(lab_.in_use(), 0u) << "the spares, too";
    unreported_ = forwarded_ - lab_.transmitter->reported();
    ASSERT_GE(lab_.tx.drops().stopped, unreported_);
    ASSERT_LE(lab_.tx.drops().stopped, unreported_ + 3) << "and frames that waited, one a stop";
    // A frame that the card was in the middle of may have been rejected already.
    const std::uint64_t named = lab_.rx.packets() + sum(lab_.rx.drops());
    ASSERT_GE(named, received_) << "a frame without a name";
    ASSERT_LE(named, received_ + (source_.in_the_middle() ? 1 : 0));
    source_.forget();
    arrived_.clear();
    lab_.transmitter->expect_no_more();
    received_ = named;
    lab_.start();
    ASSERT_EQ(lab_.in_use(), options_.lab.rx_ring + options_.lab.tx_ring);
  }

  // Without the path the queues are their own again, with all that is not in a ring at home.
  void come_to_rest() {
    for (int i = 0; i < 1000 && (source_.in_the_middle() || lab_.receiver->write_back_begun() || i < 100); ++i) {
      if (source_.in_the_middle() || lab_.receiver->write_back_begun()) {
        const std::size_t before = arrived_.size();
        source_.deliver(*lab_.receiver, 1, arrived_);
        received_ += arrived_.size() - before;
      }
      forward(ForwardPath::kMaxBurst);
      lab_.transmitter->process(options_.lab.tx_ring);
    }
    path_.reset();
    static_cast<void>(lab_.tx.tx_done_cleanup());
    ASSERT_EQ(lab_.tx.in_flight(), 0u);
    ASSERT_EQ(lab_.in_use(), options_.lab.rx_ring);
    ASSERT_EQ(lab_.rx.packets() + sum(lab_.rx.drops()), received_) << "a frame without a name";
    ASSERT_EQ(lab_.transmitter->expected(), 0u) << "shown, and not on the wire";
    const drivers::intel::RxDrops drops = lab_.rx.drops();
    EXPECT_TRUE(options_.hostile || drops.bad_length + drops.error + drops.too_many_segments == 0);
    Burst<32> burst;
    const std::size_t segments = 9500 / 1024 + 1;
    if (lab_.receiver->owned() > segments) {
      source_.deliver_good(*lab_.receiver, arrived_);
      ASSERT_EQ(lab_.rx.rx_burst(burst), 1u) << "by its own burst again";
      DropCounter looked("looked at");
      burst.drop(looked);
    }
    lab_.close();
    lab_.drain();
    ASSERT_EQ(lab_.in_use(), 0u);
    ASSERT_EQ(lab_.complaints(), "");
    EXPECT_GT(forwarded_, kRounds / 4);
  }

  ForwardOptions options_;
  std::mt19937 random_;
  QueueLab lab_;
  FrameSource source_;
  std::optional<drivers::intel::ForwardQueue> path_;
  std::deque<WireFrame> arrived_;
  std::uint64_t received_ = 0;
  std::uint64_t forwarded_ = 0;
  std::uint64_t unreported_ = 0;  // of those, what a stop left unsent
  std::uint64_t transcript_ = 0xCBF29CE484222325;
};

ForwardOptions options_for(std::uint32_t seed) {
  constexpr std::uint32_t kRxRings[] = {16, 32, 64, 128, 512, 8};
  constexpr std::uint32_t kTxRings[] = {128, 512, 256, 64, 1024};
  ForwardOptions options;
  options.seed = seed * 7919;
  options.hostile = seed % 2 == 0;
  options.lab.rx_ring = kRxRings[seed % 6];
  options.lab.tx_ring = kTxRings[seed % 5];
  options.lab.remote = seed % 4 == 3;
  options.lab.cache = 64;
  // The smallest is less than a buffer, so that a frame of one buffer can be too long to go out.
  constexpr std::uint32_t kMaxFrames[] = {9500, 9500, 9500, 900, 9500, 4100, 9500};
  options.lab.max_frame = kMaxFrames[seed % 7];
  const std::uint32_t spare = seed % 9 == 4 ? 40 : 1000;
  options.lab.pool = {.count = options.lab.rx_ring + options.lab.tx_ring + spare,
                      .data_room = seed % 3 == 1 ? 1024U : 2048U,
                      .name = "rx"};
  return options;
}

std::uint64_t run(ForwardOptions options, BurstPath path) {
  options.lab.path = path;
  return ForwardRun(options).run();
}

class Forward : public testing::TestWithParam<std::uint32_t> {};

TEST_P(Forward, MovesEveryFrame) {
  SCOPED_TRACE(fmt::format("seed {}", GetParam()));
  run(options_for(GetParam()), BurstPath::scalar);
}

TEST_P(Forward, ReckonsAddressesInSplitMemory) {
  ForwardOptions options = options_for(GetParam());
  options.lab.split_memory = true;
  run(options, BurstPath::best);
}

// What cannot be sent yet needs no buffer, either: a dry pool is no reason to throw it away.
TEST(ForwardStall, LosesNothingToAFullTransmitRingAndADryPool) {
  constexpr std::uint32_t kRing = 64;
  LabOptions options{.rx_ring = kRing, .tx_ring = kRing, .pool = {.count = 2 * kRing, .data_room = 2048, .name = "rx"}};
  QueueLab lab(options);
  const std::vector<std::uint8_t> frame(64, 0xA5);
  const hw::intel::Descriptor plain{0, hw::intel::rx::kDone | hw::intel::rx::kEndOfPacket |
                                           std::uint64_t{frame.size()} << hw::intel::rx::kLengthShift};
  drivers::intel::ForwardQueue path(nullptr, lab.rx, nullptr, lab.tx);
  lab.start();
  std::uint32_t delivered = 0;
  std::uint32_t forwarded = 0;
  const auto forward = [&] {
    lab.look();
    return path.burst(ForwardPath::kMaxBurst, [&](ForwardedFrame&) { lab.transmitter->expect(frame); });
  };
  // The card sends nothing: soon every slot of the transmit ring is taken, and frames pile up behind it.
  for (std::uint32_t i = 0; i < 4 * kRing && lab.receiver->owned() > 4; ++i) {
    lab.receiver->write_back(frame, plain);
    ++delivered;
    forwarded += forward();
  }
  ASSERT_LT(forwarded, delivered);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(forward(), 0u);
  EXPECT_EQ(sum(lab.rx.drops()), 0u);
  for (int i = 0; i < 10; ++i) {
    lab.look();
    lab.transmitter->process(kRing);
    forwarded += forward();
  }
  EXPECT_EQ(forwarded, delivered);
  EXPECT_EQ(lab.complaints(), "");
}

constexpr std::uint32_t kForwardSeeds = 12;
INSTANTIATE_TEST_SUITE_P(, Forward, testing::Range(1u, kForwardSeeds + 1));

class ForwardWide : public testing::TestWithParam<BurstPath> {};

TEST_P(ForwardWide, MovesEveryFrameAsTheScalarPathDoes) {
  if (!processor_has(GetParam())) GTEST_SKIP() << "this processor has no " << name(GetParam());
  for (std::uint32_t seed = 1; seed <= kForwardSeeds && !HasFailure(); ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    EXPECT_EQ(run(options_for(seed), GetParam()), run(options_for(seed), BurstPath::scalar));
  }
}

INSTANTIATE_TEST_SUITE_P(, ForwardWide, testing::ValuesIn(kWidePaths),
                         [](const auto& param) { return std::string(name(param.param)); });

}  // namespace
}  // namespace pollux::test
