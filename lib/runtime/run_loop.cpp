// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/runtime/run_loop.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <iterator>

#include "runtime/poller_core.hpp"

namespace pollux {
namespace {

/// The clock of a condition variable has no later time.
constexpr Duration kLongestWait = std::chrono::hours(24 * 365);

/// Work that one thread gives to another one, and waits for.
class Call {
 public:
  explicit Call(std::function<void()> work) : work_(std::move(work)) {}

  void run() {
    {
      const std::lock_guard lock(lock_);
      if (state_ == State::abandoned) return;
      state_ = State::running;
    }
    try {
      work_();
    } catch (...) {
      exception_ = std::current_exception();
    }
    const std::lock_guard lock(lock_);
    state_ = State::done;
    changed_.notify_all();
  }
  /// False: it did not begin within `limit`, and does not begin any more.
  bool wait(Duration limit) {
    std::unique_lock lock(lock_);
    if (!changed_.wait_for(lock, std::min(limit, kLongestWait), [this] { return state_ == State::done; }) &&
        state_ == State::posted) {
      state_ = State::abandoned;
      return false;
    }
    changed_.wait(lock, [this] { return state_ == State::done; });
    if (exception_) std::rethrow_exception(exception_);
    return true;
  }

 private:
  enum class State : std::uint8_t { posted, running, done, abandoned };

  std::function<void()> work_;
  std::mutex lock_;
  std::condition_variable changed_;
  State state_ = State::posted;
  std::exception_ptr exception_;
};

}  // namespace

bool TransmitWork::schedule() noexcept {
  if (scheduled_.exchange(true, std::memory_order_acq_rel)) return false;
  poller_.wake();
  return true;
}

RunLoop::RunLoop(Context& context, RunLoopOptions options)
    : context_(context), options_(std::move(options)), poller_(context, std::exchange(options_.poller, {})) {
  if (options_.name.empty()) options_.name = "run loop";
}

// What work and callbacks own may use the loop in its destructor, so they are destroyed while all of it is there.
RunLoop::~RunLoop() {
  while (poller_.core().destroy_callbacks() || destroy_work()) {
  }
}

bool RunLoop::destroy_work() noexcept {
  const auto transmit = std::exchange(transmit_, {});
  std::vector<std::function<void()>> posts;
  const std::lock_guard lock(posts_lock_);
  posts.swap(posts_);
  return !transmit.empty() || !posts.empty();
}

TransmitWork& RunLoop::add_transmit(std::string name, std::function<bool()> work) {
  transmit_.push_back(std::unique_ptr<TransmitWork>(new TransmitWork(poller_, std::move(name), std::move(work))));
  poller_.wake();
  return *transmit_.back();
}

// It may be running, so it is destroyed at the end of the round. It may also be destroyed already, with what owned it.
void RunLoop::remove(TransmitWork& work) {
  if (std::ranges::find(transmit_, &work, &std::unique_ptr<TransmitWork>::get) == transmit_.end()) return;
  work.removed_ = true;
  has_removed_ = true;
  if (!in_round_) collect();
}

// One by one, since no memory may be needed here. What is destroyed may own other work and remove it, so it has left
// the list by then.
void RunLoop::collect() noexcept {
  has_removed_ = false;
  poller_.core().wait_for_name_readers();
  for (;;) {
    const auto found = std::ranges::find_if(transmit_, [](const auto& work) { return work->removed_; });
    if (found == transmit_.end()) return;
    const std::unique_ptr<TransmitWork> destroyed = std::move(*found);
    transmit_.erase(found);
  }
}

Result<void> RunLoop::expect_no_round(const char* call) const {
  if (!in_round_) return {};
  return fail(ErrorCode::bad_state, fmt::format("{}: {} was called by a callback of a round", options_.name, call),
              "return from the callback, or stop the loop");
}

void RunLoop::add(TxQueue& queue) { tx_queues_.push_back(&queue); }
void RunLoop::remove(const TxQueue& queue) noexcept { std::erase(tx_queues_, &queue); }

void RunLoop::post(std::function<void()> work) {
  {
    const std::lock_guard lock(posts_lock_);
    posts_.push_back(std::move(work));
  }
  has_posts_.store(true, std::memory_order_release);
  poller_.wake();
}

Result<void> RunLoop::invoke(std::function<void()> work, Duration limit) {
  if (thread_.load(std::memory_order_relaxed) == std::this_thread::get_id()) {
    work();
    return {};
  }
  const auto call = std::make_shared<Call>(std::move(work));
  post([call] { call->run(); });
  if (call->wait(limit)) return {};
  const std::string running = poller_.running();
  return fail(ErrorCode::timeout,
              running.empty() ? fmt::format("{}: no round began in time", options_.name)
                              : fmt::format("{}: {} has not returned", options_.name, running),
              running.empty() ? "call run or run_once in the loop's thread" : "let it do its work in short pieces");
}

void RunLoop::run_posts() noexcept {
  std::vector<std::function<void()>> posts;
  {
    const std::lock_guard lock(posts_lock_);
    has_posts_.store(false, std::memory_order_relaxed);
    posts.swap(posts_);
  }
  for (const std::function<void()>& work : posts) {
    bool before = false;
    poller_.core().run_callback("posted work", before, before, work);
  }
}

// Work that is added meanwhile runs in the next round.
void RunLoop::run_transmit() noexcept {
  const std::size_t count = transmit_.size();
  for (std::size_t i = 0; i < count; ++i) {
    TransmitWork& work = *transmit_[i];
    if (!work.scheduled_.load(std::memory_order_relaxed) || work.removed_) continue;
    // It is no longer scheduled while it runs, so that a schedule() meanwhile is not lost.
    work.scheduled_.exchange(false, std::memory_order_acq_rel);
    poller_.core().run_callback(work.name_.c_str(), work.threw_, work.stalled_, [&work] {
      if (work.work_()) work.scheduled_.store(true, std::memory_order_relaxed);
    });
  }
}

bool RunLoop::has_transmit_scheduled() const noexcept {
  return std::ranges::any_of(transmit_, [](const auto& work) { return work->is_scheduled(); });
}

bool RunLoop::has_unsent() const noexcept {
  return std::ranges::any_of(tx_queues_, [](const TxQueue* queue) { return queue->in_flight() != 0; });
}

Result<std::uint32_t> RunLoop::run_once(Time until) {
  // Each round comes here, so the call is made only if it fails.
  if (in_round_) [[unlikely]]
    return pass_on<void>(expect_no_round("run_once"));
  /// The round ends also with an exception, such as one of the program's clock.
  struct Round {
    explicit Round(RunLoop& of) noexcept : loop(of) {
      loop.in_round_ = true;
      loop.thread_.store(std::this_thread::get_id(), std::memory_order_relaxed);
    }
    Round(const Round&) = delete;
    Round& operator=(const Round&) = delete;
    ~Round() {
      loop.in_round_ = false;
      loop.thread_.store({}, std::memory_order_relaxed);
      if (loop.has_removed_) loop.collect();
    }
    RunLoop& loop;
  };
  const Round round(*this);
  if (has_posts_.load(std::memory_order_acquire)) [[unlikely]]
    run_posts();
  if (is_idle_) {
    // What frees external memory may add and remove queues.
    for (std::size_t i = 0; i < tx_queues_.size(); ++i) tx_queues_[i]->tx_done_cleanup();
  }
  run_transmit();
  // The round after the last frames frees what they have left in transmit rings, so it comes at once.
  const bool is_first_idle = !is_idle_ && !tx_queues_.empty();
  if (is_first_idle || has_transmit_scheduled() || has_posts_.load(std::memory_order_relaxed)) {
    until = Time::min();
  } else if (has_unsent()) {
    until = std::min(until, context_.clock().now() + kFreeInterval);
  }
  auto found = poller_.run_once(until);
  is_idle_ = found && *found == 0;
  return found;
}

Result<void> RunLoop::run() {
  while (!is_stopping()) {
    if (auto found = run_once(); !found) return pass_on(std::move(found));
  }
  auto drained = drain();
  stopping_.store(false, std::memory_order_relaxed);
  return drained;
}

void RunLoop::stop() noexcept {
  stopping_.store(true, std::memory_order_release);
  poller_.wake();
}

// The end of a run loop: what has been received is handled, and what is to be sent is sent.

Result<void> RunLoop::drain() {
  if (auto outside = expect_no_round("drain"); !outside) return outside;
  const Time deadline = time_after(context_.clock().now(), options_.drain_limit);
  if (auto received = drain_receive(deadline); !received) return received;
  for (PolledQueue* const queue : poller_.queues()) {
    if (auto disabled = queue->disable(options_.drain_limit); !disabled) return disabled;
  }
  return drain_transmit(deadline);
}

// A link partner that goes on sending must not keep the loop, so there is a limit.
Result<void> RunLoop::drain_receive(Time deadline) {
  const std::uint64_t limit = std::uint64_t{kMaxDrained} * poller_.queues().size();
  for (std::uint64_t drained = 0; drained < limit && context_.clock().now() < deadline;) {
    auto found = run_once(Time::min());
    if (!found) return pass_on(std::move(found));
    if (*found == 0) break;
    drained += *found;
  }
  return {};
}

// Transmit work that has more keeps a round from sleeping, but cards need time to send.
Result<void> RunLoop::drain_transmit(Time deadline) {
  while (has_transmit_scheduled() || has_unsent()) {
    if (context_.clock().now() >= deadline) return unfinished();
    if (auto found = run_once(Time::min()); !found) return pass_on(std::move(found));
    context_.clock().sleep_for(Clock::kWaitStep);
  }
  return {};
}

Result<void> RunLoop::unfinished() const {
  const auto scheduled = std::ranges::find_if(transmit_, &TransmitWork::is_scheduled);
  std::string what = "frames are in a transmit ring";
  std::string hint = "check the link: a port without one sends nothing; stopping the port frees them";
  if (scheduled != transmit_.end()) {
    what = (*scheduled)->name_ + " still has frames to send";
    hint = "drop what cannot be sent, or raise RunLoopOptions::drain_limit";
  }
  const std::chrono::duration<double, std::milli> limit = options_.drain_limit;
  return fail(ErrorCode::timeout, fmt::format("{}: {} after {:g} ms", options_.name, what, limit.count()), hint);
}

}  // namespace pollux
