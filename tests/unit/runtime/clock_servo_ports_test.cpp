// SPDX-License-Identifier: BSD-3-Clause
// Two in-process cards on a wire with delay and jitter: the clock of one follows the other's by messages of PTP that
// both cards stamp. Virtual time; the wire's seed makes each run repeatable.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "pollux/net/frame_stamps.hpp"
#include "pollux/net/packet/byte_order.hpp"
#include "pollux/net/port_clock.hpp"
#include "pollux/net/rx_metadata.hpp"
#include "pollux/open.hpp"
#include "pollux/runtime/clock_servo.hpp"
#include "support/settings_edits.hpp"

namespace pollux {
namespace {

using namespace std::chrono_literals;

enum Message : std::uint8_t { kSync = 0, kDelayRequest = 1, kFollowUp = 8, kDelayResponse = 9 };
constexpr std::size_t kHeader = 14, kSequenceAt = kHeader + 30, kTimeAt = kHeader + 34, kBytes = kHeader + 54;

/// One end: a port, and what it does with messages (IEEE 1588-2008, 13.3: the type, the sequence and a time).
class PtpPort {
 public:
  PtpPort(Context& context, const std::string& uri)
      : pool_(Mempool::create(context, {.count = 256}).value()),
        port_(open(context, uri, {.rx = {{.pool = pool_, .ring = 64}}, .tx = {{.ring = 64}}}).value()),
        cache_(pool_) {
    EXPECT_TRUE(port_.change(
        [](Settings& settings) { settings.stamps = {.receive = StampedMessages::ptp2_ethernet, .transmit = true}; }));
  }

  [[nodiscard]] Port& port() { return port_; }
  [[nodiscard]] Capability<PortClock> clock() { return port_.capability<PortClock>(); }
  [[nodiscard]] Capability<FrameStamps> stamps() { return port_.capability<FrameStamps>(); }
  [[nodiscard]] Time now() { return clock()->time().value(); }

  /// Sends a message. An event message is stamped: returns its stamp. Others carry `time`.
  Time send(Message type, std::uint16_t sequence, Time time = Time(0)) {
    MbufPtr frame = cache_.allocate();
    std::uint8_t* const data = frame->append(kBytes);
    std::memset(data, 0, kBytes);
    std::memset(data, 0xFF, 6);
    packet::store16(data + 12, 0x88F7);
    data[kHeader] = type;
    data[kHeader + 1] = 2;
    packet::store16(data + kSequenceAt, sequence);
    const std::int64_t seconds = time / 1s;
    packet::store16(data + kTimeAt, static_cast<std::uint16_t>(seconds >> 32));
    packet::store32(data + kTimeAt + 2, static_cast<std::uint32_t>(seconds));
    packet::store32(data + kTimeAt + 6, static_cast<std::uint32_t>((time % 1s).count()));
    const bool is_event = type < kFollowUp;
    if (is_event) frame->set_tx_offload({.flags = TxOffload::timestamp});
    Burst<1> burst;
    EXPECT_TRUE(burst.push(frame));
    EXPECT_EQ(port_.tx(0).tx_burst(burst), 1u);
    if (!is_event) return time;
    const auto stamp = stamps()->take_tx_stamp();
    EXPECT_TRUE(stamp && *stamp) << "no transmit stamp";
    return stamp && *stamp ? **stamp : Time(0);
  }

  /// Waits for the message. Returns its stamp if it is an event message, else the time that it carries.
  Time receive(Clock& clock, Message type, std::uint16_t sequence) {
    Burst<32> burst;
    EXPECT_TRUE(wait_until(
        clock, "a message", 1ms, [&] { return port_.rx(0).rx_burst(burst) != 0; }, 5us));
    if (burst.size() != 1) return ADD_FAILURE() << burst.size() << " messages", Time(0);
    const std::uint8_t* const data = burst[0].data();
    EXPECT_EQ(data[kHeader] & 0xF, type);
    EXPECT_EQ(packet::load16(data + kSequenceAt), sequence);
    const Time carried = Time(std::int64_t{packet::load16(data + kTimeAt)} << 32) * 1'000'000'000 +
                         packet::load32(data + kTimeAt + 2) * 1s + Duration(packet::load32(data + kTimeAt + 6));
    const bool is_stamped = RxMetadata(burst[0]).is_stamped();
    burst.drop(handled_, cache_);
    EXPECT_EQ(is_stamped, type < kFollowUp);
    if (!is_stamped) return carried;
    const auto stamp = stamps()->take_rx_stamp();
    EXPECT_TRUE(stamp && *stamp && (**stamp).sequence == sequence);
    return stamp && *stamp ? (**stamp).time : Time(0);
  }

 private:
  Mempool pool_;
  Port port_;
  MempoolCache cache_;
  DropCounter handled_{"handled"};
};

class TwoPorts {
 public:
  explicit TwoPorts(const std::string& wire) : master_(context_, "sim:0?" + wire), local_(context_, "sim:1") {
    EXPECT_TRUE(master_.port().wait_for_link(10s));
    EXPECT_TRUE(local_.port().wait_for_link(10s));
    // The oscillators differ by 37 ppm, and the clocks by half a century.
    EXPECT_TRUE(test::run_clock(master_.port(), 37'000));
    EXPECT_TRUE(master_.clock()->set_time(1'800'000'000s));
  }

  /// Exchanges messages eight times a second, with two steps as in IEEE 1588-2008, 11.3, and corrects the local clock.
  /// Notes the offset of the clocks before and after each correction.
  void run(Duration span) {
    const Time end = clock_->now() + span;
    for (const Time begin = clock_->now(); clock_->now() < end; ++sequence_) {
      const Time next = begin + (clock_->now() - begin) / 125ms * 125ms + 125ms;
      exchange();
      note_offset();
      // A program is not in step with the cards' oscillators.
      clock_->advance((next - clock_->now()) / 2 + Duration(random_() % 1000));
      note_offset();
      clock_->advance(next - clock_->now() + Duration(random_() % 1000));
      note_offset();
      if (sequence_ % 64 == 0) {
        EXPECT_TRUE(master_.port().service() && local_.port().service());
      }
    }
  }
  void forget_offsets() { offsets_.clear(); }
  /// The offset in nanoseconds below which this share of them lies.
  [[nodiscard]] std::int64_t offset_at(double share) {
    std::sort(offsets_.begin(), offsets_.end());
    return offsets_.at(static_cast<std::size_t>(static_cast<double>(offsets_.size() - 1) * share));
  }

 private:
  void exchange() {
    ClockExchange made{.sync_sent = master_.send(kSync, sequence_)};
    made.sync_received = local_.receive(*clock_, kSync, sequence_);
    master_.send(kFollowUp, sequence_, made.sync_sent);
    made.sync_sent = local_.receive(*clock_, kFollowUp, sequence_);
    made.request_sent = local_.send(kDelayRequest, sequence_);
    made.request_received = master_.receive(*clock_, kDelayRequest, sequence_);
    master_.send(kDelayResponse, sequence_, made.request_received);
    made.request_received = local_.receive(*clock_, kDelayResponse, sequence_);
    const auto correction = servo_.update(made, *local_.port().settings().clock_frequency);
    ASSERT_TRUE(correction);
    if (correction->step != 0ns) {
      EXPECT_TRUE(local_.clock()->adjust_time(correction->step));
    }
    EXPECT_TRUE(test::run_clock(local_.port(), correction->frequency));
  }
  void note_offset() { offsets_.push_back(std::abs((local_.now() - master_.now()).count())); }

  std::shared_ptr<ManualClock> clock_ = std::make_shared<ManualClock>();
  Context context_{{.clock = clock_, .huge_pages = HugePages::never}};
  PtpPort master_;
  PtpPort local_;
  ClockServo servo_;
  std::uint16_t sequence_ = 0;
  std::minstd_rand random_;
  std::vector<std::int64_t> offsets_;
};

TEST(ClockServoPorts, StayWithinTwoTicksOverAFixedDelay) {
  for (const char* const wire : {"delay=5us", "delay=123456ns"}) {
    TwoPorts ports(wire);
    ports.run(60s);
    ports.forget_offsets();
    ports.run(30s);
    EXPECT_LE(ports.offset_at(1), 2 * 16) << wire;
  }
}

TEST(ClockServoPorts, StayWithinAMicrosecondWithJitter) {
  for (unsigned seed = 1; seed <= 5; ++seed) {
    TwoPorts ports("delay=5us,jitter=10us,seed=" + std::to_string(seed));
    ports.run(60s);
    ports.forget_offsets();
    ports.run(60s);
    EXPECT_LE(ports.offset_at(0.99), 1000) << "seed " << seed;
    RecordProperty("p99_of_seed_" + std::to_string(seed), std::to_string(ports.offset_at(0.99)));
  }
}

}  // namespace
}  // namespace pollux
