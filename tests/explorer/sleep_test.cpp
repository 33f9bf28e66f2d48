// SPDX-License-Identifier: BSD-3-Clause
// Every interleaving of arming, arrival and sleeping on the library's receive queues: no order of events loses a
// wakeup. The card takes its steps between the calls of two threads, and before each register access within a call.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <array>
#include <cstdint>
#include <deque>
#include <set>
#include <string>
#include <vector>

#include "base/file_descriptor.hpp"
#include "drivers/intel/queue/interrupts.hpp"
#include "drivers/intel/queue/rx_queue.hpp"
#include "explorer/choices.hpp"
#include "hw/intel/descriptors.hpp"
#include "pollux/mem/burst.hpp"
#include "unit/mem/fake_domain.hpp"
#include "unit/mem/pool_fixture.hpp"

namespace pollux::test {
namespace {

constexpr std::uint32_t kUnmask = 0x10;
constexpr std::uint32_t kMask = 0x14;
constexpr std::uint32_t kTail = 0x18;
constexpr std::size_t kQueues = 2;
constexpr std::uint32_t kSleepRing = 8;

/// What the sources leave open, and what an application may do.
struct SleepScenario {
  std::vector<std::size_t> frames{0, 1};  ///< the queue of each frame
  bool remembers = true;                  ///< the card raises the cause of a masked vector when the vector is unmasked
  bool masks_itself = true;               ///< a message masks its vector (QEMU's card does not do that)
  bool disarms = true;                    ///< the thread disarms after each sleep
  bool read_flushes = true;               ///< false: reads do not push writes, as on no real bus
};

/// Two receive queues that share a vector, a card, and a thread for each queue.
class SleepRun final : private RemoteRegisters {
 public:
  SleepRun(const SleepScenario& scenario, const std::shared_ptr<MempoolCore>& shared, Choices choices,
           std::set<std::string>& seen, std::vector<Choices::Path>& later)
      : scenario_(scenario), choices_(std::move(choices)), seen_(seen), later_(later) {
    const Bar bar(static_cast<RemoteRegisters&>(*this), 64);
    vector_.setup({.bar = bar, .unmask = kUnmask, .mask = kMask, .moderation = 0}, 0);
    for (std::size_t q = 0; q < kQueues; ++q) {
      Side& side = sides_[q];
      side.queue.setup({.ring = side.ring.data(),
                        .size = kSleepRing,
                        .buffer_bytes = 64,
                        .tail = Doorbell(bar, kTail),
                        .pool = shared,
                        .cache = std::make_shared<MempoolCacheCore>(shared, 64),
                        .port = 1});
      EXPECT_TRUE(side.queue.fill());
      side.queue.allow_sleeping(static_cast<unsigned>(q));
      side.queue.attach_vector(&vector_, event_.get());
      EXPECT_GE(side.queue.event_fd(), 0);
      side.queue.open();
      EXPECT_FALSE(side.queue.arm()) << "reports that it was opened";
    }
    exploring_ = true;
  }
  ~SleepRun() override {
    exploring_ = false;
    for (Side& side : sides_) side.queue.drain();
  }

  /// Runs until nothing can happen any more. Returns whether a frame waits while its thread sleeps.
  [[nodiscard]] bool loses_wakeup() {
    for (int steps = 0; steps < 500; ++steps) {
      if (choices_.known()) return false;
      std::vector<std::size_t> runnable;
      for (std::size_t q = 0; q < kQueues; ++q) {
        if (sides_[q].phase != Phase::sleep || is_awake(q)) runnable.push_back(q);
      }
      const std::vector<CardStep> card = card_steps();
      const std::size_t options = runnable.size() + card.size();
      if (options == 0) return sides_[0].received + sides_[1].received != scenario_.frames.size();
      const std::size_t chosen = choices_.choose(options, state("-"), seen_, later_);
      if (chosen < runnable.size()) {
        run_thread(runnable[chosen]);
      } else {
        take(card[chosen - runnable.size()]);
      }
    }
    ADD_FAILURE() << "the threads do not come to rest";
    return false;
  }

 private:
  enum class Phase : std::uint8_t { poll, arm, sleep };
  enum class CardStep : std::uint8_t { see_write, write_back, raise };
  struct Side {
    std::array<hw::intel::Descriptor, kSleepRing> ring{};
    drivers::intel::IntelRxQueue queue;
    Phase phase = Phase::poll;
    std::uint32_t received = 0;
    std::uint32_t written = 0;
    bool armed = false;
  };

  [[nodiscard]] bool is_awake(std::size_t q) const {
    pollfd waiting{sides_[q].queue.event_fd(), POLLIN, 0};
    return ::poll(&waiting, 1, 0) == 1;
  }
  void run_thread(std::size_t q) {
    Side& side = sides_[q];
    running_ = q;
    accesses_ = 0;
    switch (side.phase) {
      case Phase::poll: {
        Burst<8> burst;
        const std::uint32_t count = side.queue.rx_burst(burst);
        side.received += count;
        if (count == 0) side.phase = Phase::arm;
        break;
      }
      case Phase::arm:
        side.armed = side.queue.arm();
        side.phase = side.armed ? Phase::sleep : Phase::poll;
        break;
      case Phase::sleep:
        if (scenario_.disarms) {
          side.queue.disarm();
          side.armed = false;
        }
        side.phase = Phase::poll;
        break;
    }
  }

  [[nodiscard]] std::vector<CardStep> card_steps() const {
    std::vector<CardStep> steps;
    if (!posted_.empty()) steps.push_back(CardStep::see_write);
    if (written_ < scenario_.frames.size()) steps.push_back(CardStep::write_back);
    if (raised_ < written_) steps.push_back(CardStep::raise);
    return steps;
  }
  void take(CardStep step) {
    switch (step) {
      case CardStep::see_write: return see_write();
      case CardStep::write_back: {
        Side& side = sides_[scenario_.frames[written_++]];
        side.ring[side.written++] =
            hw::intel::rx::written_back({.status = hw::intel::rx::kDone | hw::intel::rx::kEndOfPacket, .length = 60});
        return;
      }
      case CardStep::raise:
        ++raised_;
        if (unmasked_) return send_message();
        pending_ = pending_ || scenario_.remembers;
    }
  }
  void see_write() {
    const std::uint32_t offset = posted_.front();
    posted_.pop_front();
    unmasked_ = offset == kUnmask;
    if (unmasked_ && pending_) send_message();
  }
  void send_message() {
    pending_ = false;
    if (scenario_.masks_itself) unmasked_ = false;
    static_cast<void>(::eventfd_write(event_.get(), 1));
  }

  /// The card may take any number of steps before the next register access.
  void let_card_act() {
    ++accesses_;
    for (;;) {
      const std::vector<CardStep> card = card_steps();
      const std::string where = std::to_string(running_) + std::to_string(accesses_);
      const std::size_t chosen = choices_.choose(card.size() + 1, state(where), seen_, later_);
      if (chosen == 0) return;
      take(card[chosen - 1]);
    }
  }
  [[nodiscard]] std::uint32_t read32(std::uint32_t) noexcept override {
    if (exploring_) let_card_act();
    while (scenario_.read_flushes && !posted_.empty()) see_write();
    return 0;
  }
  void write32(std::uint32_t offset, std::uint32_t) noexcept override {
    if (offset == kTail) return;
    if (exploring_) let_card_act();
    posted_.push_back(offset);
  }
  void flush() noexcept override {}  // a mapped window has none: the card sees a write whenever it likes

  /// Everything that determines what can follow. `where`: the register access at which the card acts.
  [[nodiscard]] std::string state(const std::string& where) const {
    std::string text = where + '|';
    for (std::size_t q = 0; q < kQueues; ++q) {
      const Side& side = sides_[q];
      text += static_cast<char>('0' + static_cast<int>(side.phase));
      text += static_cast<char>('0' + side.received);
      text += static_cast<char>('0' + side.written);
      text += side.armed ? 'a' : '-';
      text += is_awake(q) ? 'e' : '-';
    }
    for (const std::uint32_t offset : posted_) text += offset == kUnmask ? 'u' : 'm';
    text += static_cast<char>('0' + raised_);
    text += unmasked_ ? 'U' : '-';
    text += pending_ ? 'P' : '-';
    return text;
  }

  const SleepScenario& scenario_;
  Choices choices_;
  std::set<std::string>& seen_;
  std::vector<Choices::Path>& later_;
  FileDescriptor event_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  drivers::intel::InterruptVector vector_;
  std::array<Side, kQueues> sides_;
  std::deque<std::uint32_t> posted_;  // offsets of mask writes that the card has not seen
  std::size_t written_ = 0;           // frames, in memory
  std::size_t raised_ = 0;            // frames whose cause was raised
  bool unmasked_ = false;
  bool pending_ = false;
  bool exploring_ = false;
  std::size_t running_ = 0;
  unsigned accesses_ = 0;
};

struct SleepResult {
  bool loses_wakeup = false;
  std::size_t states = 0;
};

SleepResult explore_sleep(const SleepScenario& scenario) {
  PoolFixture fixture;
  const auto domain = std::make_shared<FakeDomain>();
  EXPECT_TRUE(fixture.context().attach(domain));
  const Mempool pool = fixture.pool({.count = 256, .data_room = 64, .headroom = 0, .name = "sleep"});
  SleepResult result;
  std::set<std::string> seen;
  std::vector<Choices::Path> later{{}};
  while (!later.empty() && !result.loses_wakeup && !testing::Test::HasFailure()) {
    Choices choices(std::move(later.back()));
    later.pop_back();
    result.loses_wakeup = SleepRun(scenario, pool.core(), std::move(choices), seen, later).loses_wakeup();
  }
  result.states = seen.size();
  return result;
}

TEST(ExploreSleep, NoInterleavingLosesAWakeupOnAnyKindOfCard) {
  for (unsigned kind = 0; kind < 5; ++kind) {
    const SleepScenario scenario{.remembers = (kind & 1) != 0, .masks_itself = (kind & 2) == 0, .disarms = kind < 4};
    const SleepResult result = explore_sleep(scenario);
    EXPECT_FALSE(result.loses_wakeup) << "remembers " << scenario.remembers << ", masks itself "
                                      << scenario.masks_itself << ", disarms " << scenario.disarms;
    EXPECT_GT(result.states, 100U);
  }
}

TEST(ExploreSleep, NoInterleavingOfTwoFramesForOneQueueLosesAWakeup) {
  EXPECT_FALSE(explore_sleep({.frames = {0, 0}, .remembers = false}).loses_wakeup);
}

TEST(ExploreSleep, FindsTheLostWakeupOfABusThatDoesNotFlush) {
  EXPECT_TRUE(explore_sleep({.remembers = false, .read_flushes = false}).loses_wakeup);
  EXPECT_FALSE(explore_sleep({.remembers = true, .read_flushes = false}).loses_wakeup)
      << "a card that remembers causes needs no flush";
}

}  // namespace
}  // namespace pollux::test
