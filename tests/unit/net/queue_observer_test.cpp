// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "net/queue_observation.hpp"
#include "pollux/net/queue_driver.hpp"
#include "pollux/pollux.hpp"

namespace pollux {
namespace {

using std::chrono::milliseconds;

/// Returns the same mbuf in each burst. The test owns the mbuf.
class OneFrameQueue final : public RxQueueDriver {
 public:
  explicit OneFrameQueue(Mbuf& mbuf) noexcept : mbuf_(&mbuf) {}

  void open() noexcept override { open_bursts(&burst); }
  [[nodiscard]] Result<void> close(Clock& clock, Duration limit) override { return gate_.close(&idle, clock, limit); }
  [[nodiscard]] Result<void> use_cache(const MempoolCache&) override { return {}; }
  /// Returns the number of frames of a burst. The caller does not own them.
  std::uint32_t poll() noexcept {
    std::array<Mbuf*, 4> out{};
    return gate_.call(*this, out.data(), std::uint32_t{4});
  }

  std::atomic<bool> blocks{false};
  std::atomic<bool> is_inside{false};

 private:
  static std::uint32_t burst(RxQueue& base, Mbuf** out, std::uint32_t limit) noexcept {
    auto& queue = static_cast<OneFrameQueue&>(base);
    queue.is_inside = true;
    while (queue.blocks) std::this_thread::yield();
    queue.is_inside = false;
    if (limit == 0) return 0;
    out[0] = queue.mbuf_;
    return 1;
  }

  Mbuf* mbuf_;
};

/// Takes at most the first frame of each burst.
class TakesOneQueue final : public TxQueueDriver {
 public:
  void open() noexcept override { open_bursts(&burst); }
  [[nodiscard]] Result<void> use_cache(const MempoolCache&) override { return {}; }
  [[nodiscard]] std::uint32_t in_flight() const noexcept override { return 0; }
  std::uint32_t send(std::span<Mbuf* const> mbufs) noexcept {
    return gate_.call(*this, mbufs.data(), static_cast<std::uint32_t>(mbufs.size()));
  }

 private:
  static std::uint32_t burst(TxQueue&, Mbuf* const*, std::uint32_t count) noexcept { return count == 0 ? 5 : 1; }
};

class Notes final : public RxObserver, public TxObserver {
 public:
  explicit Notes(std::vector<std::string>* log = nullptr, std::string name = {}) : log_(log), name_(std::move(name)) {}
  void received(const RxQueue&, std::span<Mbuf* const> frames) noexcept override {
    frames_seen += frames.size();
    add("received " + std::to_string(frames.size()));
  }
  void sending(const TxQueue&, std::span<Mbuf* const> frames) noexcept override {
    add("sending " + std::to_string(frames.size()));
  }
  void sent(const TxQueue&, std::uint32_t count) noexcept override { add("sent " + std::to_string(count)); }

  std::uint64_t frames_seen = 0;  // not atomic, so that ThreadSanitizer detects a race

 private:
  void add(const std::string& what) {
    if (log_ != nullptr) log_->push_back(name_ + " " + what);
  }
  std::vector<std::string>* log_;
  std::string name_;
};

class QueueObserverTest : public testing::Test {
 protected:
  [[nodiscard]] Result<void> attach(auto& queue, auto& observer) {
    return QueueObservation::attach(queue, observer, "port", clock_, limit_);
  }
  [[nodiscard]] Result<void> detach(auto& queue, auto& observer) {
    return QueueObservation::detach(queue, observer, "port", clock_, limit_);
  }

  Context context_{{.huge_pages = HugePages::never}};
  Mempool pool_ = Mempool::create(context_, {.count = 64}).value();
  MempoolCache cache_{pool_};
  MbufPtr mbuf_ = cache_.allocate();
  OneFrameQueue rx_{*mbuf_};
  TakesOneQueue tx_;
  SteadyClock clock_;
  Duration limit_ = std::chrono::seconds(30);
  std::vector<std::string> log_;
};

TEST_F(QueueObserverTest, AreCalledInTheOrderOfAttachment) {
  Notes first(&log_, "a");
  Notes second(&log_, "b");
  rx_.open();
  ASSERT_TRUE(attach(rx_, static_cast<RxObserver&>(first)));
  ASSERT_TRUE(attach(rx_, static_cast<RxObserver&>(second)));
  EXPECT_EQ(rx_.poll(), 1U);
  EXPECT_EQ(log_, (std::vector<std::string>{"a received 1", "b received 1"}));
  ASSERT_TRUE(detach(rx_, static_cast<RxObserver&>(first)));
  log_.clear();
  EXPECT_EQ(rx_.poll(), 1U);
  EXPECT_EQ(log_, std::vector<std::string>{"b received 1"});
  ASSERT_TRUE(detach(rx_, static_cast<RxObserver&>(second)));
  log_.clear();
  EXPECT_EQ(rx_.poll(), 1U);
  EXPECT_EQ(log_, std::vector<std::string>());
}

TEST_F(QueueObserverTest, StayAttachedWhenTheGateClosesAndOpens) {
  Notes notes;
  ASSERT_TRUE(attach(rx_, static_cast<RxObserver&>(notes))) << "before it was ever open";
  EXPECT_EQ(rx_.poll(), 0U);
  rx_.open();
  EXPECT_EQ(rx_.poll(), 1U);
  ASSERT_TRUE(rx_.close(clock_, limit_));
  EXPECT_EQ(rx_.poll(), 0U);
  EXPECT_EQ(notes.frames_seen, 1U);
  rx_.open();
  EXPECT_EQ(rx_.poll(), 1U);
  EXPECT_EQ(notes.frames_seen, 2U);
  ASSERT_TRUE(rx_.close(clock_, limit_));
  ASSERT_TRUE(detach(rx_, static_cast<RxObserver&>(notes)));
  EXPECT_EQ(rx_.poll(), 0U) << "a closed gate stays closed";
  rx_.open();
  EXPECT_EQ(rx_.poll(), 1U);
  EXPECT_EQ(notes.frames_seen, 2U);
}

TEST_F(QueueObserverTest, SeeFramesBeforeTheyAreSentAndThenHowManyWereTaken) {
  Notes notes(&log_, "a");
  tx_.open();
  ASSERT_TRUE(attach(tx_, static_cast<TxObserver&>(notes)));
  const std::array<Mbuf*, 3> frames{mbuf_.get(), mbuf_.get(), mbuf_.get()};
  EXPECT_EQ(tx_.send(frames), 1U);
  EXPECT_EQ(log_, (std::vector<std::string>{"a sending 3", "a sent 1"}));
  EXPECT_EQ(tx_.tx_done_cleanup(), 5U) << "the queue's own result";
  EXPECT_EQ(log_.size(), 2U) << "it sends nothing";
  ASSERT_TRUE(detach(tx_, static_cast<TxObserver&>(notes)));
}

TEST_F(QueueObserverTest, APollerThatHangsIsATimeoutThatChangesNothing) {
  Notes notes;
  Notes other;
  rx_.open();
  ASSERT_TRUE(attach(rx_, static_cast<RxObserver&>(notes)));
  rx_.blocks = true;
  std::uint32_t polled = 0;
  std::thread poller([&] { polled = rx_.poll(); });
  while (!rx_.is_inside) std::this_thread::yield();
  limit_ = milliseconds(5);
  const auto attached = attach(rx_, static_cast<RxObserver&>(other));
  const auto detached = detach(rx_, static_cast<RxObserver&>(notes));
  rx_.blocks = false;
  poller.join();
  ASSERT_FALSE(attached);
  EXPECT_EQ(attached.error().code, ErrorCode::timeout);
  ASSERT_FALSE(detached);
  EXPECT_EQ(detached.error().code, ErrorCode::timeout);
  EXPECT_EQ(polled, 1U);
  EXPECT_EQ(rx_.poll(), 1U) << "the gate is open";
  EXPECT_EQ(notes.frames_seen, 2U);
  EXPECT_EQ(other.frames_seen, 0U);
  ASSERT_TRUE(detach(rx_, static_cast<RxObserver&>(notes)));
}

// The test reads an observer's count, which is not atomic, right after the detach. If a polling thread were still in
// the observer, the count would change, and ThreadSanitizer would report a race.
TEST_F(QueueObserverTest, AreNotCalledAnyMoreOnceDetachedWhileAnotherThreadPolls) {
  rx_.open();
  std::atomic<bool> over{false};
  std::thread poller([&] {
    while (!over) rx_.poll();
  });
  Notes always;
  ASSERT_TRUE(attach(rx_, static_cast<RxObserver&>(always)));
  bool is_sound = true;
  for (int round = 0; round < 50 && is_sound; ++round) {
    Notes notes;
    is_sound = attach(rx_, static_cast<RxObserver&>(notes)).has_value();
    if (round % 4 == 0) std::this_thread::sleep_for(milliseconds(1));
    is_sound = is_sound && detach(rx_, static_cast<RxObserver&>(notes)).has_value();
    const std::uint64_t seen = notes.frames_seen;
    std::this_thread::yield();
    is_sound = is_sound && notes.frames_seen == seen;
  }
  EXPECT_TRUE(is_sound);
  EXPECT_TRUE(detach(rx_, static_cast<RxObserver&>(always)));
  EXPECT_GT(always.frames_seen, 0U);
  over = true;
  poller.join();
}

}  // namespace
}  // namespace pollux
