// SPDX-License-Identifier: BSD-3-Clause
// Every interleaving of a Poller with another thread: frames arrive, queues are disabled, enabled and scheduled, and
// ports change state, before and in each of the poller's calls to a queue and to the clock. No frame is left behind
// while it sleeps, and a disabled queue is not touched. The code is the library's; the two threads take turns.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <semaphore>
#include <string>
#include <thread>
#include <vector>

#include "base/file_descriptor.hpp"
#include "explorer/choices.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/mem/mempool.hpp"
#include "pollux/net/queue_driver.hpp"
#include "pollux/runtime/poller.hpp"
#include "runtime/poller_core.hpp"

namespace pollux::test {
namespace {

// An explicit instantiation may name a private member.
template <auto Member, class Tag>
struct RevealPoller {
  friend constexpr auto reveal_poller(Tag) { return Member; }
};
struct CoreOfPoller {
  friend constexpr auto reveal_poller(CoreOfPoller);
};
template struct RevealPoller<&Poller::core_, CoreOfPoller>;
struct SignalledOfCore {
  friend constexpr auto reveal_poller(SignalledOfCore);
};
template struct RevealPoller<&PollerCore::signalled_, SignalledOfCore>;
struct SleepingOfCore {
  friend constexpr auto reveal_poller(SleepingOfCore);
};
template struct RevealPoller<&PollerCore::sleeping_, SleepingOfCore>;
struct WakeOfCore {
  friend constexpr auto reveal_poller(WakeOfCore);
};
template struct RevealPoller<&PollerCore::wake_event_, WakeOfCore>;
struct ArmedOfQueue {
  friend constexpr auto reveal_poller(ArmedOfQueue);
};
template struct RevealPoller<&PolledQueue::armed_, ArmedOfQueue>;
struct RefusalsOfQueue {
  friend constexpr auto reveal_poller(RefusalsOfQueue);
};
template struct RevealPoller<&PolledQueue::refusals_, RefusalsOfQueue>;
struct ScheduledOfQueue {
  friend constexpr auto reveal_poller(ScheduledOfQueue);
};
template struct RevealPoller<&PolledQueue::scheduled_, ScheduledOfQueue>;

bool is_ready(int descriptor) {
  pollfd waiting{descriptor, POLLIN, 0};
  return ::poll(&waiting, 1, 0) == 1;
}

/// One of the two threads. It runs from one call of `pause` to the next when it is told to.
struct ExploredThread {
  std::binary_semaphore go{0};
  std::string where = "start";            ///< the call that it is about to make
  std::string since;                      ///< what it has seen since the begin of its run_once
  std::function<bool()> ready = nullptr;  ///< null: it can go on
  bool done = false;
};

thread_local ExploredThread* explored_thread = nullptr;

/// Lets one thread run at a time, until the run is over: then both run freely, to their ends.
class TurnTaking {
 public:
  void pause(std::string where, std::function<bool()> ready = nullptr) {
    ExploredThread* const self = explored_thread;
    if (self == nullptr || over) return;
    self->where = std::move(where);
    self->ready = std::move(ready);
    back.release();
    self->go.acquire();
  }
  void resume(ExploredThread& thread) {
    thread.go.release();
    back.acquire();
  }
  std::atomic<bool> over{false};
  std::binary_semaphore back{0};
};

/// Time that passes only in sleeps. A wait ends when a descriptor is ready, and a short one at any time.
class ExploredClock final : public Clock {
 public:
  explicit ExploredClock(TurnTaking& turns) : turns_(turns) {}
  [[nodiscard]] Duration now() const override { return Duration(now_.load()); }
  void sleep_for(Duration span) override {
    turns_.pause("sleep");
    now_ += span.count();
    if (turns_.over) std::this_thread::yield();
  }
  [[nodiscard]] Result<unsigned> wait(std::span<pollfd> descriptors, Time until) override {
    const bool is_short = until - now() <= kWaitStep;
    const auto any = [descriptors] { return ::poll(descriptors.data(), descriptors.size(), 0) > 0; };
    turns_.pause("before wait");
    turns_.pause("wait", is_short ? std::function<bool()>() : any);
    return static_cast<unsigned>(::poll(descriptors.data(), descriptors.size(), 0));
  }

 private:
  TurnTaking& turns_;
  std::atomic<Duration::rep> now_{1};
};

struct ExploredQueueKind {
  bool looks_again = true;  ///< arm() looks for frames after it has armed
};

/// A queue that keeps RxQueue's contract, and whose calls have several steps.
class ExploredQueue final : public RxQueueDriver {
 public:
  ExploredQueue(TurnTaking& turns, MempoolCache& cache, std::string name, ExploredQueueKind kind)
      : turns_(turns), cache_(cache), name_(std::move(name)), kind_(kind) {
    open_bursts(&burst);
  }
  ~ExploredQueue() override = default;

  [[nodiscard]] int event_fd() const override { return event_.get(); }
  [[nodiscard]] bool arm() noexcept override {
    enter("arm");
    eventfd_t ignored = 0;
    static_cast<void>(::eventfd_read(event_.get(), &ignored));
    if (changed_.exchange(false)) return saw('c'), false;
    enter("set flag");
    armed_ = true;
    enter("look again");
    if (kind_.looks_again && (waiting_ != 0 || changed_)) armed_ = false;
    saw(armed_ ? 'a' : 'r');
    return armed_;
  }
  void disarm() noexcept override {
    enter("disarm");
    armed_ = false;
    saw('d');
  }
  [[nodiscard]] Result<void> use_cache(const MempoolCache&) override { return {}; }

  // The other side.
  void arrive() {
    turns_.pause(name_ + " arrive");
    ++waiting_;
    turns_.pause(name_ + " raise");
    raise();
  }
  void change() {
    turns_.pause(name_ + " change");
    changed_ = true;
    raise();
  }
  void forbid(bool forbidden) { forbidden_ = forbidden; }
  [[nodiscard]] std::uint32_t waiting() const { return waiting_; }
  [[nodiscard]] bool was_touched() const { return was_touched_; }
  [[nodiscard]] std::string state() const {
    return std::to_string(waiting_) + (armed_ ? 'a' : '-') + (changed_ ? 'c' : '-') +
           (is_ready(event_.get()) ? 'e' : '-') + (forbidden_ ? 'f' : '-');
  }

 private:
  static std::uint32_t burst(RxQueue& queue, Mbuf** mbufs, std::uint32_t limit) noexcept {
    ExploredQueue& self = static_cast<ExploredQueue&>(queue);
    self.enter("burst");
    const std::uint32_t count = std::min(limit, self.waiting_.load());
    for (std::uint32_t i = 0; i < count; ++i) mbufs[i] = self.cache_.allocate().release();
    self.waiting_ -= count;
    self.saw(static_cast<char>('0' + count));
    if (count != 0) self.turns_.pause(self.name_ + " handler");
    return count;
  }
  void enter(const char* call) {
    turns_.pause(name_ + ' ' + call);
    if (!turns_.over && forbidden_) was_touched_ = true;
  }
  void saw(char what) {
    if (explored_thread != nullptr) explored_thread->since += what;
  }
  void raise() {
    if (armed_) static_cast<void>(::eventfd_write(event_.get(), 1));
  }

  TurnTaking& turns_;
  MempoolCache& cache_;
  std::string name_;
  ExploredQueueKind kind_;
  FileDescriptor event_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  // Written by one thread at a time, and freely by none: at the end of a run the other side has finished its calls.
  std::atomic<std::uint32_t> waiting_{0};
  std::atomic<bool> armed_{false};
  std::atomic<bool> changed_{false};
  bool forbidden_ = false;
  bool was_touched_ = false;
};

/// What the other thread does, in this order.
enum class Event : std::uint8_t { arrive0, arrive1, disable0, enable0, schedule0, change0 };

struct PollerScenario {
  std::vector<Event> events;
  bool starts_enabled = true;
  ExploredQueueKind kind{};
};

/// The poller with two queues, and the other thread.
class PollerRun {
 public:
  PollerRun(const PollerScenario& scenario, Choices choices, std::set<std::string>& seen,
            std::vector<Choices::Path>& later)
      : scenario_(scenario), choices_(std::move(choices)), seen_(seen), later_(later) {
    for (std::size_t q = 0; q < 2; ++q) {
      auto added =
          poller_.add(*queues_[q], [this](Burst<2>& burst) { burst.drop(handled_, cache_); },
                      {.weight = 1, .mode = PollMode::interrupt, .enabled = q == 1 || scenario.starts_enabled});
      polled_[q] = added.value();
    }
    threads_[0] = std::thread([this] { run_poller(); });
    threads_[1] = std::thread([this] { run_events(); });
  }
  ~PollerRun() {
    turns_.over = true;
    poller_.wake();
    for (ExploredThread& side : sides_) side.go.release();
    for (std::thread& thread : threads_) thread.join();
  }

  /// Runs until nothing can happen any more. Returns what went wrong, empty if nothing did.
  [[nodiscard]] std::string find_fault() {
    for (int steps = 0; steps < 1000; ++steps) {
      if (choices_.known()) return {};
      if (queues_[0]->was_touched()) return "a disabled queue was touched";
      std::vector<std::size_t> runnable;
      for (std::size_t side = 0; side < 2; ++side) {
        const ExploredThread& thread = sides_[side];
        if (!thread.done && (!thread.ready || thread.ready())) runnable.push_back(side);
      }
      if (runnable.empty()) {
        if (!sides_[1].done) return "the other thread waits forever, at " + sides_[1].where;
        for (std::size_t q = 0; q < 2; ++q) {
          if (polled_[q]->is_enabled() && queues_[q]->waiting() != 0) return "a frame is left behind";
        }
        return {};
      }
      turns_.resume(sides_[runnable[choices_.choose(runnable.size(), state(), seen_, later_)]]);
    }
    return "the threads do not come to rest";
  }

 private:
  void run_poller() {
    begin(0);
    while (!turns_.over) {
      sides_[0].since = core().*reveal_poller(SignalledOfCore()) ? "s" : "";
      if (const auto ran = poller_.run_once(); !ran) sides_[0].since += "error";
      if (sides_[0].since.ends_with("error")) ADD_FAILURE() << "run_once failed";
    }
    end(0);
  }
  void run_events() {
    begin(1);
    for (const Event event : scenario_.events) {
      if (turns_.over) break;
      execute(event);
      ++executed_;
    }
    end(1);
  }
  void begin(std::size_t side) {
    explored_thread = &sides_[side];
    explored_thread->go.acquire();
  }
  void end(std::size_t side) {
    sides_[side].done = true;
    if (!turns_.over) turns_.back.release();
  }
  void execute(Event event) {
    switch (event) {
      case Event::arrive0: return queues_[0]->arrive();
      case Event::arrive1: return queues_[1]->arrive();
      case Event::change0: return queues_[0]->change();
      case Event::schedule0:
        turns_.pause("schedule");
        polled_[0]->schedule();
        return;
      case Event::disable0:
        turns_.pause("disable");
        EXPECT_TRUE(polled_[0]->disable(std::chrono::seconds(30)));  // the other thread may wait for a processor
        queues_[0]->forbid(true);
        turns_.pause("disabled");
        return;
      case Event::enable0:
        turns_.pause("enable");
        queues_[0]->forbid(false);
        polled_[0]->enable();
    }
  }

  [[nodiscard]] PollerCore& core() { return *(poller_.*reveal_poller(CoreOfPoller())); }
  /// Everything that determines what can follow.
  [[nodiscard]] std::string state() {
    std::string text = sides_[0].where + '|' + sides_[0].since + '|' + sides_[1].where + '|' + sides_[1].since + '|' +
                       std::to_string(executed_);
    for (std::size_t q = 0; q < 2; ++q) {
      PolledQueue& polled = *polled_[q];
      text += '|' + queues_[q]->state();
      text += polled.*reveal_poller(ArmedOfQueue()) ? 'a' : '-';
      text += static_cast<char>('0' + std::min(polled.*reveal_poller(RefusalsOfQueue()), 2U));
      text += polled.*reveal_poller(ScheduledOfQueue()) ? 's' : '-';
      text += polled.is_enabled() ? 'e' : '-';
    }
    text += core().*reveal_poller(SignalledOfCore()) ? 'S' : '-';
    text += core().*reveal_poller(SleepingOfCore()) ? 'Z' : '-';
    const FileDescriptor& wake = core().*reveal_poller(WakeOfCore());
    text += !wake ? 'n' : is_ready(wake.get()) ? 'w' : '-';
    return text;
  }

  const PollerScenario& scenario_;
  Choices choices_;
  std::set<std::string>& seen_;
  std::vector<Choices::Path>& later_;
  TurnTaking turns_;
  Context context_{{.clock = std::make_shared<ExploredClock>(turns_),
                    .huge_pages = HugePages::never,
                    .arena_size = std::size_t{16} << 20}};
  Mempool pool_{Mempool::create(context_, {.count = 64, .data_room = 64, .headroom = 0}).value()};
  MempoolCache cache_{pool_, 16};
  std::array<std::unique_ptr<ExploredQueue>, 2> queues_{
      std::make_unique<ExploredQueue>(turns_, cache_, "0", scenario_.kind),
      std::make_unique<ExploredQueue>(turns_, cache_, "1", scenario_.kind)};
  DropCounter handled_{"handled"};
  std::array<PolledQueue*, 2> polled_{};
  Poller poller_{context_};
  std::size_t executed_ = 0;
  std::array<ExploredThread, 2> sides_;
  std::array<std::thread, 2> threads_;
};

struct PollerResult {
  std::string fault;
  std::size_t states = 0;
};

PollerResult explore_poller(const PollerScenario& scenario) {
  PollerResult result;
  std::set<std::string> seen;
  std::vector<Choices::Path> later{{}};
  while (!later.empty() && result.fault.empty() && !testing::Test::HasFailure()) {
    Choices choices(std::move(later.back()));
    later.pop_back();
    result.fault = PollerRun(scenario, std::move(choices), seen, later).find_fault();
  }
  result.states = seen.size();
  return result;
}

void expect_no_fault(const PollerScenario& scenario) {
  const PollerResult result = explore_poller(scenario);
  EXPECT_EQ(result.fault, "");
  EXPECT_GT(result.states, 50U);
  testing::Test::RecordProperty("states", static_cast<int>(result.states));
}

TEST(ExplorePoller, NoFrameIsLeftBehind) {
  expect_no_fault({.events = {Event::arrive0, Event::arrive1}});
  expect_no_fault({.events = {Event::arrive0, Event::arrive0}});
}

TEST(ExplorePoller, AQueueThatIsDisabledIsNotTouchedAndLosesNothing) {
  expect_no_fault({.events = {Event::disable0, Event::arrive0, Event::enable0}});
  expect_no_fault({.events = {Event::arrive0, Event::disable0, Event::enable0}});
  expect_no_fault({.events = {Event::arrive0, Event::enable0}, .starts_enabled = false});
}

TEST(ExplorePoller, SchedulingAndChangesOfAPortLoseNothing) {
  expect_no_fault({.events = {Event::schedule0, Event::arrive0}});
  expect_no_fault({.events = {Event::change0, Event::arrive0}});
}

TEST(ExplorePoller, FindsTheFrameThatAQueueWithoutASecondLookLeavesBehind) {
  EXPECT_EQ(explore_poller({.events = {Event::arrive0}, .kind = {.looks_again = false}}).fault,
            "a frame is left behind");
}

}  // namespace
}  // namespace pollux::test
