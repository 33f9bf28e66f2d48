// SPDX-License-Identifier: BSD-3-Clause
#include "runtime/poller_core.hpp"

#include <fmt/format.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>

namespace pollux {

/// Marks that run_once runs. At its end, what callbacks have removed is destroyed.
class PollerCore::Round {
 public:
  explicit Round(PollerCore& core) noexcept : core_(core) {
    core_.in_round_ = true;
    core_.runner_.store(std::this_thread::get_id(), std::memory_order_relaxed);
  }
  Round(const Round&) = delete;
  Round& operator=(const Round&) = delete;
  ~Round() {
    core_.in_round_ = false;
    core_.runner_.store({}, std::memory_order_relaxed);
    if (core_.has_removed_) core_.collect();
  }

 private:
  PollerCore& core_;
};

PollerCore::PollerCore(Context& context, PollerOptions options)
    : context_(context), clock_(context.clock()), options_(std::move(options)) {
  options_.budget = std::clamp(options_.budget, 1U, Poller::kMaxBudget);
}

PollerCore::~PollerCore() {
  while (destroy_callbacks()) {
  }
}

bool PollerCore::destroy_callbacks() noexcept {
  // A queue that is armed belongs to a port that still exists. A callback may own it.
  for (const auto& queue : queues_) {
    if (std::exchange(queue->armed_, false) && process_.is_here()) queue->rx_->disarm();
  }
  const bool any = !queues_.empty() || !tasks_.empty() || !descriptors_.empty() || !timers_.empty() ||
                   options_.on_exception || options_.on_stall;
  // What is destroyed may own others and remove them, so it has left the lists by then.
  const auto options = std::exchange(options_, {});
  const auto queues = std::exchange(queues_, {});
  const auto tasks = std::exchange(tasks_, {});
  const auto descriptors = std::exchange(descriptors_, {});
  timers_.clear();
  return any;
}

Result<std::uint32_t> PollerCore::run_once(Time until) {
  if (in_round_) {
    return fail(ErrorCode::bad_state, "poller: run_once was called by a callback of run_once",
                "return from the callback; run_once continues then");
  }
  const Round round(*this);
  const bool signalled = signalled_.load(std::memory_order_relaxed);
  if (signalled) [[unlikely]]
    take_signals();
  const bool with_tasks = has_task_scheduled();
  bool rested = false;
  if (rests_ && !signalled && !with_tasks) [[unlikely]] {
    auto ended = rest(until);
    if (!ended) return pass_on<bool>(std::move(ended));
    rested = slept_;
    if (!*ended) return 0U;
  }
  const Time start = with_tasks ? clock_.now() : Time{};
  const std::uint32_t found = poll_round();
  rests_ = std::exchange(woken_, false) && found != 0;
  // Callbacks may have scheduled tasks.
  const bool has_tasks = has_task_scheduled();
  if (has_tasks) run_tasks(with_tasks ? clock_.now() - start : Duration::zero(), found != 0);
  const bool ran_timers = !timers_.empty() && run_timers();
  if (found == 0 && !has_tasks) {
    // The program may wait for what a timer, a descriptor or another thread has done, so there is no sleep after that.
    if (auto slept = sleep(ran_timers || signalled || rested ? Time::min() : until); !slept)
      return pass_on<void>(std::move(slept));
  } else if (!descriptors_.empty() && ++rounds_since_check_ >= Poller::kRoundsPerCheck) {
    if (auto checked = check_descriptors(); !checked) return pass_on<void>(std::move(checked));
  }
  return found;
}

// Deficit round robin with frames as the unit. A poll is limited to what is left of the turn, so no deficit remains.
// A turn ends when its quantum is used or the queue is empty. A turn that the budget has cut keeps its quantum.
POLLUX_ALWAYS_INLINE std::uint32_t PollerCore::take_turn(PolledQueue& queue, std::uint32_t budget) noexcept {
  std::uint32_t quantum = queue.quantum_ != 0 ? queue.quantum_ : queue.weight();
  std::uint32_t found = 0;
  running_.store(queue.name_.c_str(), std::memory_order_relaxed);
  do {
    const std::uint32_t limit = std::min({quantum, queue.capacity_, budget - found});
    const std::uint32_t count = queue.gate_.call(queue, limit);
    found += count;
    quantum = count < limit ? 0 : quantum - count;
  } while (quantum != 0 && found < budget);
  queue.quantum_ = quantum;
  if (found == 0) return 0;
  PolledQueue::count(queue.frames_, found);
  if (queue.is_idle_) queue.end_idle(clock_.now(), found);
  return found;
}

// Handlers may add queues, which then take part, too. Every queue is polled once, or until the budget is used.
std::uint32_t PollerCore::poll_round() noexcept {
  std::uint32_t found = 0;
  for (std::size_t polled = 0; polled < queues_.size(); ++polled) {
    if (next_ >= queues_.size()) next_ = 0;
    PolledQueue& queue = *queues_[next_];
    found += take_turn(queue, options_.budget - found);
    if (queue.quantum_ != 0) break;
    ++next_;
    if (found == options_.budget) break;
  }
  running_.store(nullptr, std::memory_order_relaxed);
  return found;
}

// Every queue is polled in each round, so there is nothing to do but to note that these are no longer scheduled.
void PollerCore::take_signals() noexcept {
  signalled_.exchange(false, std::memory_order_seq_cst);
  for (const auto& queue : queues_) queue->scheduled_.exchange(false, std::memory_order_acq_rel);
}

Result<void> PollerCore::check(const RxQueue& queue, const PolledQueueOptions& options) const {
  if (auto checked = PolledQueue::check_weight(options.weight); !checked) return checked;
  if (options.mode > PollMode::adaptive)
    return fail(ErrorCode::invalid_argument, "poller: there is no such mode", "use busy, interrupt or adaptive");
  if (const PolledQueue* const found = find(queue)) {
    return fail(ErrorCode::busy, fmt::format("poller: the queue is polled already, as {}", found->name()),
                "remove it first");
  }
  if (options.mode == PollMode::interrupt && queue.event_fd() < 0) {
    return fail(ErrorCode::not_supported, "poller: the queue has no descriptor to sleep on",
                "use PollMode::adaptive or busy; or raise the limit of open files (ulimit -n) if it was reached");
  }
  return {};
}

PolledQueue* PollerCore::adopt(std::unique_ptr<PolledQueue> queue, bool enabled) {
  if (queue->name_.empty()) queue->name_ = fmt::format("queue {}", queues_added_);
  queues_.push_back(std::move(queue));
  ++queues_added_;
  if (enabled) enable(*queues_.back());
  return queues_.back().get();
}

std::vector<PolledQueue*> PollerCore::queues() const {
  std::vector<PolledQueue*> queues;
  for (const auto& queue : queues_) {
    if (!queue->removed_) queues.push_back(queue.get());
  }
  return queues;
}

PolledQueue* PollerCore::find(const RxQueue& queue) const noexcept {
  const auto same = [&](const auto& entry) { return !entry->removed_ && entry->rx_ == &queue; };
  const auto found = std::ranges::find_if(queues_, same);
  return found == queues_.end() ? nullptr : found->get();
}

// What owned the queue may have been destroyed before the one who removes it, so it is looked up.
Result<void> PollerCore::remove(PolledQueue& queue) {
  if (std::ranges::find(queues_, &queue, &std::unique_ptr<PolledQueue>::get) == queues_.end()) return {};
  if (auto disabled = disable(queue, PolledQueue::kDisableLimit); !disabled) return disabled;
  queue.removed_ = true;
  has_removed_ = true;
  if (!in_round_) collect();
  return {};
}

void PollerCore::collect() noexcept {
  has_removed_ = false;
  // None of these is running any more, but another thread may still be reading such a name, in running(), or be about
  // to return from `disable`.
  wait_for_name_readers();
  while (disabling_.load(std::memory_order_acquire) != 0) std::this_thread::yield();
  std::size_t next_descriptor = 0;  // none has turns
  collect(tasks_, next_task_);
  collect(descriptors_, next_descriptor);
  collect(queues_, next_);
}

// One by one, since no memory may be needed here. What is destroyed may own others and remove them, so it has left the
// list by then.
template <class Entry>
void PollerCore::collect(std::vector<std::unique_ptr<Entry>>& list, std::size_t& next) noexcept {
  for (;;) {
    const auto found = std::ranges::find_if(list, [](const auto& entry) { return entry->removed_; });
    if (found == list.end()) return;
    if (found - list.begin() < static_cast<std::ptrdiff_t>(next)) --next;
    const std::unique_ptr<Entry> destroyed = std::move(*found);
    list.erase(found);
  }
}

void PollerCore::enable(PolledQueue& queue) noexcept {
  const std::lock_guard lock(control_);
  if (queue.is_enabled()) return;
  queue.gate_.open(queue.poll_);
  ++queue.changes_;
  queue.enabled_.store(true, std::memory_order_release);
  // It may have frames, and it is not armed.
  signal();
}

// It waits without the lock, since the handler that it waits for may enable and disable queues, too. If others do that
// with this queue meanwhile, what they want counts.
Result<void> PollerCore::disable(PolledQueue& queue, Duration limit) {
  std::unique_lock lock(control_);
  queue.enabled_.store(false, std::memory_order_release);
  queue.gate_.open(&PolledQueue::idle);
  std::uint64_t change = ++queue.changes_;
  while (!is_own_thread()) {
    disabling_.fetch_add(1, std::memory_order_relaxed);
    lock.unlock();
    auto ended = wait_for_burst(queue, limit);
    lock.lock();
    disabling_.fetch_sub(1, std::memory_order_release);
    if (!ended) return ended;
    if (queue.is_enabled()) return {};
    if (std::exchange(change, queue.changes_) == queue.changes_) break;
  }
  // The poller does not touch the queue now, so this thread may.
  if (std::exchange(queue.armed_, false)) queue.rx_->disarm();
  queue.scheduled_.store(false, std::memory_order_relaxed);
  disabled_count_.fetch_add(1, std::memory_order_seq_cst);
  return {};
}

Result<void> PollerCore::wait_for_burst(const PolledQueue& queue, Duration limit) {
  barrier_on_all_threads(clock_);
  auto ended = wait_until(clock_.for_threads(), "the end of the polling thread's burst", limit,
                          [&queue] { return queue.gate_.is_idle() || queue.is_enabled(); });
  if (ended) return ended;
  return fail(ended.error().code, fmt::format("poller: {}: {}", queue.name_, ended.error().what),
              "let the handler return, and disable it again");
}

void PollerCore::signal() noexcept {
  signalled_.store(true, std::memory_order_seq_cst);
  if (sleeping_.load(std::memory_order_seq_cst)) static_cast<void>(::eventfd_write(wake_event_.get(), 1));
}

// Sleeps before a round instead of after one. The round before has polled what came with the last wake-up, and arming a
// queue looks for frames once more. So the empty poll in between is saved, which is a system call on some ports.
// Returns false if the round is to be left out, because no queue ended the sleep.
Result<bool> PollerCore::rest(Time until) {
  rests_ = false;
  if (auto slept = sleep(until); !slept) return pass_on<void>(std::move(slept));
  return woken_ || !slept_;
}

Result<void> PollerCore::sleep(Time until) {
  slept_ = false;
  const Time now = clock_.now();
  if (!may_sleep(now) || now >= until) {
    if (descriptors_.empty() || ++rounds_since_check_ < Poller::kRoundsPerCheck) return {};
    return check_descriptors();
  }
  const std::uint64_t disabled_before = disabled_count_.load(std::memory_order_seq_cst);
  waiting_.clear();
  waiters_.clear();
  if (auto listed = list_wake_event(); !listed) return listed;
  list_descriptors();
  if (!arm_all(now, until)) return {};
  until = std::min(until, timers_.next());
  // What is scheduled from here on writes the wake event. What was scheduled before has set signalled_.
  sleeping_.store(true, std::memory_order_seq_cst);
  Result<void> waited;
  if (!signalled_.load(std::memory_order_seq_cst)) waited = wait(until, disabled_before);
  sleeping_.store(false, std::memory_order_relaxed);
  return waited;
}

// Each queue is asked, since this is also where its idle time begins.
bool PollerCore::may_sleep(Time now) noexcept {
  bool all = true;
  for (const auto& queue : queues_) {
    if (queue->is_enabled() && queue->spins(now)) all = false;
  }
  return all;
}

// A queue that was not armed has frames, usually. They may also wait for a free mbuf; so if it happens again, time must
// pass, also on a ManualClock. Those that are armed stay armed, so what reaches them is noticed by the next wait.
bool PollerCore::arm_all(Time now, Time& until) {
  waiting_.reserve(waiting_.size() + queues_.size());
  waiters_.reserve(waiters_.size() + queues_.size());
  bool all = true;
  for (const auto& queue : queues_) {
    queue->gate_.visit(&PolledQueue::idle, [&]() noexcept {
      if (!queue->armed_) queue->armed_ = queue->rx_->arm();
      queue->refusals_ = queue->armed_ ? 0 : queue->refusals_ + 1;
      if (queue->armed_) {
        waiting_.push_back({.fd = queue->descriptor_.load(std::memory_order_relaxed), .events = POLLIN, .revents = 0});
        waiters_.push_back({.queue = queue.get()});
      } else if (queue->refusals_ == 1) {
        all = false;
      } else {
        until = std::min(until, now + Clock::kWaitStep);
      }
    });
  }
  return all;
}

Result<void> PollerCore::list_wake_event() {
  if (!wake_event_) {
    wake_event_ = FileDescriptor(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!wake_event_) return fail_errno(ErrorCode::io_error, "poller: cannot create an eventfd", errno);
  }
  waiting_.push_back({.fd = wake_event_.get(), .events = POLLIN, .revents = 0});
  waiters_.emplace_back();
  return {};
}

void PollerCore::list_descriptors() {
  for (const auto& descriptor : descriptors_) {
    if (descriptor->removed_) continue;
    waiting_.push_back(descriptor->wanted);
    waiters_.push_back({.number = descriptor->number});
  }
}

Result<void> PollerCore::wait(Time until, std::uint64_t disabled_before) {
  slept_ = true;
  const auto ready = clock_.wait(waiting_, until);
  if (!ready) {
    // Another thread may have disabled a queue and closed its port, and so its descriptor.
    if (disabled_count_.load(std::memory_order_seq_cst) != disabled_before) return {};
    return tl::unexpected<Error>(ready.error());
  }
  if (*ready == 0) return {};
  eventfd_t ignored = 0;
  if (waiting_.front().revents != 0) static_cast<void>(::eventfd_read(wake_event_.get(), &ignored));
  disarm_ready();
  run_ready_descriptors();
  return {};
}

// Only these: their descriptors would stay readable. To arm a queue may need a read of a card's register.
void PollerCore::disarm_ready() noexcept {
  for (std::size_t i = 0; i < waiting_.size(); ++i) {
    PolledQueue* const queue = waiters_[i].queue;
    if (queue == nullptr || waiting_[i].revents == 0) continue;
    woken_ = true;
    PolledQueue::count(queue->wakeups_, 1);
    queue->gate_.visit(&PolledQueue::idle, [&]() noexcept {
      if (std::exchange(queue->armed_, false) && process_.is_here()) queue->rx_->disarm();
    });
  }
}

}  // namespace pollux
