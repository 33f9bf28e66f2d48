// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/mem/context.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <exception>
#include <functional>
#include <mutex>
#include <new>
#include <system_error>
#include <utility>
#include <vector>

#include "base/file_descriptor.hpp"
#include "base/own_thread.hpp"
#include "base/printable.hpp"
#include "base/signals_blocked.hpp"
#include "mem/context_state.hpp"
#include "mem/control_scheduler.hpp"
#include "mem/mempool_core.hpp"
#include "mem/ownership.hpp"
#include "pollux/mem/mbuf.hpp"

namespace pollux {

namespace {

/// Marks the lowest free number as taken and returns it; `numbers.size()` if all are taken.
std::size_t take_lowest(std::vector<bool>& numbers) {
  const auto free = std::find(numbers.begin(), numbers.end(), false);
  if (free != numbers.end()) *free = true;
  return static_cast<std::size_t>(free - numbers.begin());
}

ContextOptions with_clock(ContextOptions options) {
  if (options.clock == nullptr) options.clock = std::make_shared<SteadyClock>();
  return options;
}

}  // namespace

ContextState::ContextState(ContextOptions options, HugePagePaths paths)
    : options_(with_clock(std::move(options))),
      scheduler_(*options_.clock),
      registry_({.huge_pages = options_.huge_pages,
                 .huge_page_size = options_.huge_page_size,
                 .arena_size = options_.arena_size},
                std::move(paths)),
      port_indices_(Mbuf::kNoPort) {}

void ContextState::log(LogLevel level, std::string_view message) const {
  if (!options_.log) return;
  // Messages are copied only where that is needed: one says that there is no memory.
  is_printable_text(message) ? options_.log(level, message) : options_.log(level, printable(message));
}

void ContextState::log(LogLevel level, std::string_view name, std::string_view message) const {
  const std::string start = fmt::format("{}: ", name);
  log(level, message.starts_with(start) ? std::string(message) : start + std::string(message));
}

void ContextState::report(const Misuse& misuse) const {
  if (options_.on_misuse) return options_.on_misuse(misuse);
  log(LogLevel::error, fmt::format("{}: {}", to_string(misuse.kind), misuse.what));
}

/// Calls `work` with the registry locked, then writes what it has logged.
template <class Work>
auto ContextState::with_registry(Work work) {
  PendingLog pending;
  auto result = [&] {
    const std::lock_guard lock(mutex_);
    return work(pending);
  }();
  for (const auto& [level, message] : pending) log(level, message);
  return result;
}

Result<DmaMemory> ContextState::allocate(const DmaRequest& request) {
  return make_memory(with_registry([&](PendingLog& pending) { return registry_.allocate(request, pending); }));
}

Result<DmaMemory> ContextState::register_memory(std::span<std::byte> bytes) {
  return make_memory(with_registry([&](PendingLog& pending) { return registry_.register_memory(bytes, pending); }));
}

Result<DmaMemory> ContextState::make_memory(Result<DmaRegion> region) {
  if (!region) return pass_on(std::move(region));
  DmaMemory memory;
  try {
    memory.segments_ = region->segments;
  } catch (const std::bad_alloc&) {
    release(region->segments);
    throw;
  }
  memory.state_ = shared_from_this();
  memory.page_size_ = region->page_size;
  return memory;
}

void ContextState::release(std::span<const DmaSegment> segments) {
  // A forked child that destroys its copy must not free the parent's memory, nor wait for a lock that a thread of the
  // parent held.
  if (!is_own()) return;
  static_cast<void>(with_registry([&](PendingLog& pending) -> Result<void> {
    registry_.release(segments, pending);
    return {};
  }));
}

int ContextState::memory_descriptor(std::size_t page_size) const {
  const std::lock_guard lock(mutex_);
  return registry_.arena().descriptor(page_size);
}

Result<void> ContextState::attach(std::shared_ptr<DmaDomain> domain) {
  return with_registry([&](PendingLog& pending) { return registry_.attach(domain, pending); });
}

void ContextState::detach(const DmaDomain& domain) {
  // The result is destroyed after the lock is released: its destructor may call the Context.
  static_cast<void>(with_registry([&](PendingLog& pending) { return registry_.detach(domain, pending); }));
}

void ContextState::add_pool(const std::shared_ptr<MempoolCore>& pool) {
  const std::lock_guard lock(mutex_);
  std::erase_if(pools_, [](const auto& known) { return known.expired(); });
  pools_.push_back(pool);
}

std::vector<std::shared_ptr<MempoolCore>> ContextState::pools() const {
  std::vector<std::shared_ptr<MempoolCore>> all;
  const std::lock_guard lock(mutex_);
  all.reserve(pools_.size());  // a failure later would destroy pools, which takes the lock
  for (const auto& known : pools_) {
    if (auto pool = known.lock()) all.push_back(std::move(pool));
  }
  return all;
}

std::uint16_t ContextState::take_port_index() {
  const std::lock_guard lock(mutex_);
  return static_cast<std::uint16_t>(take_lowest(port_indices_));
}

void ContextState::return_port_index(std::uint16_t index) {
  const std::lock_guard lock(mutex_);
  if (index < port_indices_.size()) port_indices_[index] = false;
}

void* ContextState::service_slot(std::type_index type, std::shared_ptr<void> (*make)()) {
  const std::lock_guard lock(mutex_);
  std::shared_ptr<void>& slot = services_[type];
  if (slot == nullptr) slot = make();
  return slot.get();
}

ContextState::~ContextState() = default;

void ContextState::adopt(std::unique_ptr<MempoolCore> orphan) {
  const std::lock_guard lock(mutex_);
  orphans_.push_back(std::move(orphan));
}

void ContextState::discard_orphan(MempoolCore& orphan) {
  // Declared before the lock, so the pool is destroyed after it: the pool's destructor frees its memory, which takes
  // the lock, and it may hold the last reference to this object.
  std::unique_ptr<MempoolCore> last;
  const std::lock_guard lock(mutex_);
  const auto found =
      std::find_if(orphans_.begin(), orphans_.end(), [&](const auto& held) { return held.get() == &orphan; });
  if (found == orphans_.end()) return;
  last = std::move(*found);
  orphans_.erase(found);
}

void ContextState::retire() {
  retired_ = true;
  if (!ownership::kChecked) return;
  std::vector<Misuse> leaks;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& orphan : orphans_) {
      if (orphan->owner() == MempoolCore::Owner::port) leaks.push_back(orphan->describe_leak());
    }
  }
  for (const Misuse& leak : leaks) report(leak);
}

/// Runs the tasks of a Control on a thread of its own, for programs that ask for one. The thread blocks all signals.
/// The destructor stops it.
class ControlThread {
 public:
  /// Called on the thread for each failure.
  using OnFailure = std::function<void(const Error&)>;

  /// `scheduler` outlives the result. Error io_error: the process has no descriptor or no thread left.
  [[nodiscard]] static Result<std::unique_ptr<ControlThread>> start(ControlScheduler& scheduler, OnFailure on_failure) {
    constexpr const char* kHint =
        "call context.control().run_due() in the program's own loop, or raise ulimit -n and -u";
    FileDescriptor stop(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    const int event = scheduler.event_fd();
    if (!stop || event < 0) {
      return fail_errno(ErrorCode::io_error, "no file descriptor is left for the control thread", errno, kHint);
    }
    std::unique_ptr<ControlThread> control(new ControlThread(scheduler, std::move(stop), std::move(on_failure)));
    const SignalsBlocked blocked;
    try {
      control->thread_ = OwnThread([&self = *control, event] { self.work(event); });
    } catch (const std::system_error& error) {
      return fail_errno(ErrorCode::io_error, "the control thread cannot be started", error.code().value(), kHint);
    }
    return control;
  }
  ControlThread(const ControlThread&) = delete;
  ControlThread& operator=(const ControlThread&) = delete;
  ~ControlThread() {
    if (!thread_.joinable()) return;
    static_cast<void>(::eventfd_write(stop_.get(), 1));
    thread_.join();
  }

 private:
  ControlThread(ControlScheduler& scheduler, FileDescriptor stop, OnFailure on_failure)
      : scheduler_(scheduler), stop_(std::move(stop)), on_failure_(std::move(on_failure)) {}
  void work(int event) {
    pthread_setname_np(pthread_self(), "pollux-control");
    std::array<pollfd, 2> waiting{pollfd{event, POLLIN, 0}, pollfd{stop_.get(), POLLIN, 0}};
    while (::poll(waiting.data(), waiting.size(), -1) >= 0 || errno == EINTR) {
      if (waiting[1].revents != 0) return;
      if (const auto next = run_tasks(); !next) {
        scheduler_.store_failure(next.error());
        on_failure_(next.error());
      }
    }
  }
  /// An exception of a handler is a failure, too.
  [[nodiscard]] Result<Time> run_tasks() {
    constexpr const char* kCatch = "catch it in the handler";
    try {
      return scheduler_.run_tasks();
    } catch (const std::exception& thrown) {
      return fail(ErrorCode::bad_state, std::string("a handler threw on the control thread: ") + thrown.what(), kCatch);
    } catch (...) {
      return fail(ErrorCode::bad_state, "a handler threw on the control thread", kCatch);
    }
  }

  ControlScheduler& scheduler_;
  FileDescriptor stop_;
  OnFailure on_failure_;
  OwnThread thread_;
};

namespace {

std::unique_ptr<ControlThread> start_thread(ContextState& state) {
  if (dynamic_cast<const ManualClock*>(&state.clock()) != nullptr) {
    state.log(LogLevel::warning, "a control thread cannot run with a ManualClock: call context.control().run_due()");
    return nullptr;
  }
  auto thread = ControlThread::start(state.scheduler(),
                                     [&state](const Error& failure) { state.log(LogLevel::error, failure.message()); });
  if (thread) return *std::move(thread);
  state.log(LogLevel::error, thread.error().message());
  return nullptr;
}

}  // namespace

Context::Context(ContextOptions options) {
  const bool threaded = options.control_thread;
  state_ = std::make_shared<ContextState>(std::move(options));
  if (threaded) control_thread_ = start_thread(*state_);
}

Context::~Context() {
  if (state_->is_own()) state_->retire();
}

Clock& Context::clock() const noexcept { return state_->clock(); }

Control& Context::control() const noexcept { return state_->control(); }

void Context::log(LogLevel level, std::string_view message) const { state_->log(level, message); }

void Context::report(const Misuse& misuse) const { state_->report(misuse); }

Result<DmaMemory> Context::allocate(const DmaRequest& request) { return state_->allocate(request); }

Result<DmaMemory> Context::register_memory(std::span<std::byte> memory) { return state_->register_memory(memory); }

Result<void> Context::attach(std::shared_ptr<DmaDomain> domain) { return state_->attach(std::move(domain)); }

void Context::detach(const DmaDomain& domain) { state_->detach(domain); }

void* Context::service_slot(std::type_index type, ServiceFactory make) { return state_->service_slot(type, make); }

}  // namespace pollux
