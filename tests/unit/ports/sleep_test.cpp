// SPDX-License-Identifier: BSD-3-Clause
// Sleeping on the receive queues of software ports. The conformance suite tests what every port has to do. These tests
// cover every interleaving of a ring port, and the behaviour of single ports.
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <set>
#include <vector>

#include "fixture.hpp"
#include "support/capture_file.hpp"

namespace pollux::ports {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using test::CaptureFile;

class Sleep : public PortFixture {
 protected:
  [[nodiscard]] static bool is_readable(const RxQueue& queue) {
    pollfd waiting{queue.event_fd(), POLLIN, 0};
    return ::poll(&waiting, 1, 0) == 1;
  }
  /// Arms the queue. The second attempt is needed after a start or stop, because arm() reports that change once.
  [[nodiscard]] static bool arms(RxQueue& queue) { return queue.arm() || queue.arm(); }
};

/// A step of the sender or of the receiver on a ring.
enum class Step : std::uint8_t { send, poll, arm, disarm, stop, start };
constexpr std::size_t kSteps = 6;

/// Executes steps on two ring ports, and knows the state that the receiving port must then have.
class RingSteps {
 public:
  RingSteps(Port& left, Port& right, MempoolCache& cache) : left_(left), right_(right), cache_(cache) {}

  void execute(Step step) {
    switch (step) {
      case Step::send: return send();
      case Step::poll: return poll();
      case Step::arm:
        armed_ = right_.rx(0).arm();
        must_be_readable_ = false;
        EXPECT_FALSE(armed_ && waiting_ != 0) << "armed while frames wait, which no event would report";
        return;
      case Step::disarm:
        right_.rx(0).disarm();
        armed_ = must_be_readable_ = false;
        return;
      case Step::stop:
        if (!started_) return;
        EXPECT_TRUE(right_.stop());
        started_ = false;
        waiting_ = 0;
        must_be_readable_ = armed_;
        return;
      case Step::start:
        if (started_) return;
        EXPECT_TRUE(right_.start());
        started_ = true;
        must_be_readable_ = armed_;
        return;
    }
  }
  /// True if a frame or a state change is pending in the armed queue, but its descriptor is not readable.
  [[nodiscard]] bool has_lost_wakeup() const {
    if (!must_be_readable_) return false;
    pollfd waiting{right_.rx(0).event_fd(), POLLIN, 0};
    return ::poll(&waiting, 1, 0) != 1;
  }
  void reset() {
    if (!started_) execute(Step::start);
    poll();
    execute(Step::disarm);
    static_cast<void>(right_.rx(0).arm());
    execute(Step::disarm);
  }

 private:
  void send() {
    Burst<1> burst;
    ASSERT_TRUE(burst.fill(cache_, 1));
    std::fill_n(burst[0].append(60), 60, std::uint8_t{0xFF});
    ASSERT_EQ(left_.tx(0).tx_burst(burst), 1U);
    if (!started_) return;
    ++waiting_;
    must_be_readable_ = must_be_readable_ || armed_;
  }
  void poll() {
    Burst<32> burst;
    right_.rx(0).rx_burst(burst);
    EXPECT_EQ(static_cast<int>(burst.size()), started_ ? waiting_ : 0);
    burst.drop(inspected_, cache_);
    waiting_ = 0;
  }

  Port& left_;
  Port& right_;
  MempoolCache& cache_;
  DropCounter inspected_{"inspected"};
  bool started_ = true;
  bool armed_ = false;
  bool must_be_readable_ = false;
  int waiting_ = 0;
};

TEST_F(Sleep, NoSequenceOfCallsLosesAWakeup) {
  constexpr int kLength = 5;
  Port left = started("ring:a:0");
  Port right = started("ring:a:1");
  RingSteps ring(left, right, cache_);
  std::size_t sequences = 1;
  for (int i = 0; i < kLength; ++i) sequences *= kSteps;
  for (std::size_t sequence = 0; sequence < sequences; ++sequence) {
    ring.reset();
    std::size_t rest = sequence;
    for (int i = 0; i < kLength; ++i, rest /= kSteps) {
      ring.execute(static_cast<Step>(rest % kSteps));
      ASSERT_FALSE(ring.has_lost_wakeup()) << "sequence " << sequence << ", step " << i;
      ASSERT_FALSE(HasFailure()) << "sequence " << sequence << ", step " << i;
    }
  }
}

/// The ring's protocol, with one memory access per step, on processors with store buffers (Intel SDM volume 3, 8.2.2: a
/// load may pass an earlier store to another location). The sender writes a frame and reads the flag; if the flag is
/// set, it clears the flag and raises the event. The receiver clears the event, sets the flag, executes the barrier and
/// reads the ring; if the ring is empty, it sleeps.
struct Protocol {
  // Memory.
  std::uint8_t frames = 0;  // sent so far
  bool flag = false;
  bool event = false;
  // Stores that are not visible yet: the sender's frames, the receiver's flag.
  std::uint8_t put = 0;
  bool buffers_flag = false;
  // The next step of each thread.
  std::uint8_t sender = 0;
  std::uint8_t receiver = 0;
  std::uint8_t left = 0;   // frames to be sent
  std::uint8_t taken = 0;  // by the receiver

  auto operator<=>(const Protocol&) const = default;
};

/// Visits every interleaving. A wakeup is lost if the receiver sleeps forever although a frame is in the ring.
class Interleavings {
 public:
  Interleavings(bool has_barrier, bool has_second_check)
      : has_barrier_(has_barrier), has_second_check_(has_second_check) {}

  [[nodiscard]] bool lose_wakeup(std::uint8_t frames) {
    Protocol start;
    start.left = frames;
    visit(start);
    return lost_wakeup_;
  }
  [[nodiscard]] std::size_t states() const { return seen_.size(); }

 private:
  enum Receiver : std::uint8_t { kPoll, kClear, kSetFlag, kBarrier, kCheckAgain, kAsleep };
  enum Sender : std::uint8_t { kPut, kReadFlag, kRaise };

  void visit(const Protocol& at) {
    if (lost_wakeup_ || !seen_.insert(at).second) return;
    bool moved = send(at);
    moved = drain(at) || moved;
    moved = receive(at) || moved;
    // No step is possible any more, so all frames must have been taken.
    if (!moved && at.taken != at.frames) lost_wakeup_ = true;
  }

  bool send(Protocol at) {
    switch (at.sender) {
      case kPut:
        if (at.left == 0) return false;
        --at.left;
        ++at.put;  // into the store buffer
        at.sender = kReadFlag;
        break;
      case kReadFlag: at.sender = at.flag ? kRaise : kPut; break;
      default:
        // The exchange drains the sender's stores first.
        at.frames = static_cast<std::uint8_t>(at.frames + at.put);
        at.put = 0;
        if (at.flag) at.event = true;
        at.flag = false;
        at.sender = kPut;
    }
    visit(at);
    return true;
  }

  bool drain(const Protocol& at) {
    bool moved = false;
    if (at.put != 0) {
      Protocol next = at;
      next.frames = static_cast<std::uint8_t>(next.frames + next.put);
      next.put = 0;
      visit(next);
      moved = true;
    }
    if (at.buffers_flag) {
      Protocol next = at;
      next.buffers_flag = false;
      next.flag = true;
      visit(next);
      moved = true;
    }
    return moved;
  }

  bool receive(Protocol at) {
    switch (at.receiver) {
      case kPoll:
        at.receiver = at.taken == at.frames ? kClear : kPoll;
        at.taken = at.frames;
        break;
      case kClear:
        at.event = false;
        at.receiver = kSetFlag;
        break;
      case kSetFlag:
        at.buffers_flag = true;
        at.receiver = kBarrier;
        break;
      case kBarrier:
        if (has_barrier_) {  // every thread's stores become visible
          at.frames = static_cast<std::uint8_t>(at.frames + at.put);
          at.put = 0;
          at.flag = at.flag || at.buffers_flag;
          at.buffers_flag = false;
        }
        at.receiver = has_second_check_ ? kCheckAgain : kAsleep;
        break;
      case kCheckAgain: at.receiver = at.taken == at.frames ? kAsleep : kPoll; break;
      default:
        if (!at.event) return false;
        at.receiver = kPoll;
    }
    visit(at);
    return true;
  }

  const bool has_barrier_;
  const bool has_second_check_;
  bool lost_wakeup_ = false;
  std::set<Protocol> seen_;
};

TEST(SleepProtocol, NoInterleavingLosesAWakeup) {
  Interleavings all(true, true);
  EXPECT_FALSE(all.lose_wakeup(4));
  EXPECT_GT(all.states(), 500U);
}

TEST(SleepProtocol, LosesAWakeupWithoutTheBarrierOrTheSecondCheck) {
  EXPECT_TRUE(Interleavings(false, true).lose_wakeup(2));
  EXPECT_TRUE(Interleavings(true, false).lose_wakeup(2));
}

TEST_F(Sleep, ARingsDescriptorIsSilentWhileTheQueueIsNotArmed) {
  Port left = started("ring:a:0");
  Port right = started("ring:a:1");
  RxQueue& queue = right.rx(0);
  ASSERT_TRUE(arms(queue));
  queue.disarm();
  send(left, {numbered(60, 1)});
  EXPECT_FALSE(is_readable(queue));
  EXPECT_FALSE(queue.arm());
  EXPECT_FALSE(is_readable(queue));
  EXPECT_EQ(poll(right).size(), 1U);
  EXPECT_TRUE(queue.arm());
}

TEST_F(Sleep, ASharedFrameThatWaitsForAnExhaustedPoolKeepsTheDescriptorReadable) {
  Port left = started("ring:a:0");
  Mempool small = must(Mempool::create(context_, {.count = 8}));
  Port right = must(open(context_, "ring:a:1", {.rx = {{.pool = small, .ring = 8}}}));
  ASSERT_TRUE(arms(right.rx(0)));
  std::vector<MbufPtr> all;
  while (MbufPtr mbuf = small.allocate()) all.push_back(std::move(mbuf));
  MbufPtr mbuf = make_mbuf(numbered(60, 1));
  const MbufPtr clone = mbuf->clone(cache_);
  Burst<1> burst;
  ASSERT_TRUE(burst.push(mbuf));
  ASSERT_EQ(left.tx(0).tx_burst(burst), 1U);
  EXPECT_TRUE(is_readable(right.rx(0)));
  EXPECT_EQ(poll(right).size(), 0U);
  EXPECT_FALSE(right.rx(0).arm());
  all.clear();
  EXPECT_EQ(poll(right).size(), 1U);
}

TEST_F(Sleep, ANullPortWithoutFramesIsNeverReadable) {
  Port silent = started("null:");
  EXPECT_TRUE(arms(silent.rx(0)));
  Port noisy = started("null:?rx=64");
  EXPECT_FALSE(arms(noisy.rx(0)));
}

TEST_F(Sleep, AFileIsReadyUntilItsEnd) {
  CaptureFile().add(numbered(60, 1)).add(numbered(60, 2)).write(file("in"));
  Port port = started("pcap:in=" + file("in"));
  RxQueue& queue = port.rx(0);
  EXPECT_FALSE(arms(queue));
  Burst<1> burst;
  EXPECT_EQ(queue.rx_burst(burst), 1U);
  EXPECT_FALSE(queue.arm());
  EXPECT_EQ(poll(port).size(), 1U);
  EXPECT_TRUE(queue.arm());
  EXPECT_FALSE(is_readable(queue));
}

TEST_F(Sleep, AFileThatLoopsIsAlwaysReady) {
  CaptureFile().add(numbered(60, 1)).write(file("in"));
  Port port = started("pcap:in=" + file("in") + ",loop");
  for (int i = 0; i < 5; ++i) {
    EXPECT_FALSE(port.rx(0).arm());
    EXPECT_FALSE(poll(port).empty());
  }
}

TEST_F(Sleep, AFileInRealTimeWakesWhenItsNextFrameIsDue) {
  CaptureFile().add(numbered(60, 1), 7, 0).add(numbered(60, 2), 7, 2000).write(file("in"));
  Port port = started("pcap:in=" + file("in") + ",pace=real");
  RxQueue& queue = port.rx(0);
  EXPECT_FALSE(arms(queue)) << "the first frame is due immediately";
  EXPECT_EQ(poll(port).size(), 1U);
  ASSERT_TRUE(queue.arm());
  const Time start = clock_->now();
  std::array waiting{pollfd{queue.event_fd(), POLLIN, 0}};
  EXPECT_EQ(clock_->wait(waiting, start + std::chrono::seconds(1)).value_or(9), 1U);
  EXPECT_EQ(clock_->now() - start, milliseconds(2));
  queue.disarm();
  EXPECT_FALSE(is_readable(queue));
  EXPECT_FALSE(queue.arm());
  EXPECT_EQ(poll(port).size(), 1U);
  EXPECT_TRUE(queue.arm()) << "the file has no more frames";
}

TEST_F(Sleep, StoppingWakesAReceiverThatWaitsForALaterFrame) {
  CaptureFile().add(numbered(60, 1), 7, 0).add(numbered(60, 2), 107, 0).write(file("in"));
  Port port = started("pcap:in=" + file("in") + ",pace=real");
  EXPECT_EQ(poll(port).size(), 1U);
  ASSERT_TRUE(arms(port.rx(0)));
  EXPECT_FALSE(is_readable(port.rx(0)));
  ASSERT_TRUE(port.stop());
  EXPECT_TRUE(is_readable(port.rx(0)));
}

}  // namespace
}  // namespace pollux::ports
