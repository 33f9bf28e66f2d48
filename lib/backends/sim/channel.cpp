// SPDX-License-Identifier: BSD-3-Clause
#include "backends/sim/wire.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <system_error>

#include "base/signals_blocked.hpp"

namespace pollux::sim {
namespace {

/// The longest sleep. It bounds the delay that a lost wake-up would cause.
constexpr Duration kMaxSleep = std::chrono::milliseconds(10);
/// Polls for posted writes before the thread sleeps, because a driver often writes again soon.
constexpr int kPollsBeforeSleep = 64;

/// Frame check sequence, preamble with delimiter, and inter-frame gap (IEEE 802.3, clauses 3 and 4).
constexpr std::uint64_t kOverheadBytes = 4 + 8 + 12;
constexpr std::uint64_t kBitsPerByte = 8;
constexpr std::uint64_t kNanosecondsPerSecond = 1'000'000'000;
/// Bytes of both MAC addresses. They are not mangled, so that the frame still reaches its destination.
constexpr std::size_t kAddressBytes = 12;

}  // namespace

Result<std::unique_ptr<Runner>> Runner::create(Machine& machine) {
  FileDescriptor wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake) {
    return fail_errno(ErrorCode::io_error, "the eventfd of the card's thread cannot be created", errno);
  }
  return std::unique_ptr<Runner>(new Runner(machine, std::move(wake)));
}

void Runner::start() {
  if (thread_.joinable()) return;
  running_.store(true);
  const SignalsBlocked blocked;
  try {
    thread_ = OwnThread([this] { loop(); });
  } catch (const std::system_error&) {
    running_.store(false);  // the driver's thread then does the work
  }
}

void Runner::stop() {
  if (!thread_.joinable()) return;
  running_.store(false);
  wake();
  thread_.join();
}

bool Runner::post(const Write& write) noexcept {
  if (!running_.load(std::memory_order_relaxed)) return false;
  {
    const std::lock_guard guard(post_lock_);
    if (posted_.size() >= kMaxPosted) return false;
    posted_.push_back(write);
    has_posted_.store(true);
  }
  if (asleep_.load()) wake();
  return true;
}

void Runner::process_posted() noexcept {
  if (!has_posted_.load(std::memory_order_acquire)) return;
  {
    const std::lock_guard guard(post_lock_);
    std::swap(posted_, taken_);
    has_posted_.store(false);
  }
  for (const Write& write : taken_) machine_.write(write);
  taken_.clear();
}

void Runner::loop() {
  while (running_.load(std::memory_order_relaxed)) {
    const Duration idle = machine_.run();
    int polls = 0;
    while (polls < kPollsBeforeSleep && !has_posted_.load(std::memory_order_relaxed)) {
      std::this_thread::yield();
      ++polls;
    }
    if (polls == kPollsBeforeSleep && idle > Duration(0)) sleep(std::min(idle, kMaxSleep));
  }
}

// This thread sets `asleep_` and then reads `has_posted_`. `post` sets `has_posted_` and then reads `asleep_`. So at
// least one of them sees the other's store, and no wake-up is lost.
void Runner::sleep(Duration span) noexcept {
  asleep_.store(true);
  if (!has_posted_.load() && running_.load()) {
    pollfd wait{wake_.get(), POLLIN, 0};
    const auto nanoseconds = static_cast<long>(span.count());  // under a second
    const timespec limit{0, nanoseconds};
    ::ppoll(&wait, 1, &limit, nullptr);
  }
  asleep_.store(false);
  std::uint64_t drained = 0;
  static_cast<void>(!::read(wake_.get(), &drained, sizeof drained));
}

void Runner::wake() noexcept {
  const std::uint64_t one = 1;
  static_cast<void>(!::write(wake_.get(), &one, sizeof one));
}

void Channel::occupy(std::size_t bytes, Duration now) noexcept {
  if (now > sent_at_) {
    sent_at_ = now;
    rest_ = 0;
  }
  if (options_.rate == 0) return;
  const std::uint64_t time = (bytes + kOverheadBytes) * kBitsPerByte * kNanosecondsPerSecond + rest_;
  const Duration duration(static_cast<Duration::rep>(time / options_.rate));
  rest_ = time % options_.rate;
  sent_at_ += duration;
  sent_ends_[oldest_] = sent_at_;
  oldest_ = (oldest_ + 1) % kBacklog;
}

bool Channel::change_a_byte(Frame& frame, std::size_t from, std::uint64_t random) {
  if (frame.bytes.size() <= from) return false;
  const auto change = static_cast<std::byte>(1 + random % 255);  // never 0
  frame.bytes[from + (random >> 8) % (frame.bytes.size() - from)] ^= change;
  return true;
}

// Each frame uses the same number of random values. So a change of one probability does not change which frames the
// other impairments select.
void Channel::put(std::span<const std::byte> bytes, Duration now, WireCounters& counters, bool corrupt) {
  ++counters.entered;
  const bool lost = random_.chance(options_.loss);
  const bool corrupted = random_.chance(options_.corrupt);
  const bool mangled = random_.chance(options_.mangle);
  const bool duplicated = random_.chance(options_.duplicate);
  const bool reordered = random_.chance(options_.reorder);
  const std::uint64_t where = random_.next();

  occupy(bytes.size(), now);
  if (lost) return void(++counters.lost);
  Frame frame{.bytes = {bytes.begin(), bytes.end()}, .corrupt = corrupt};
  if (corrupted && change_a_byte(frame, 0, where)) {
    ++counters.corrupted;
    frame.corrupt = true;
  } else if (mangled && change_a_byte(frame, kAddressBytes, where)) {
    ++counters.mangled;
  }
  const auto jitter =
      Duration(static_cast<Duration::rep>(jitter_.up_to(static_cast<std::uint64_t>(options_.jitter.count()))));
  const Duration arrival = sent_at_ + options_.delay + jitter;
  std::optional<Frame> copy;
  if (duplicated) copy = frame;
  if (reordered && in_flight_.size() + held_.size() < kCapacity) {
    ++counters.reordered;
    ++counters.in_flight;
    held_.push_back({std::move(frame), arrival, arrival + WireOptions::kHoldTime, 0});
  } else {
    send(std::move(frame), arrival, counters);
  }
  if (copy) {
    ++counters.duplicated;
    send(*std::move(copy), arrival, counters);
  }
}

void Channel::send(Frame frame, Duration arrival, WireCounters& counters) {
  if (in_flight_.size() + held_.size() >= kCapacity) return void(++counters.dropped_overflow);
  ++counters.in_flight;
  schedule(std::move(frame), arrival);
  overtake_held(arrival);
}

void Channel::schedule(Frame frame, Duration arrival) {
  in_flight_.emplace(Arrival(arrival, sequence_++), std::move(frame));
}

void Channel::overtake_held(Duration arrival) {
  for (Held& held : held_) ++held.overtakers;
  while (!held_.empty() && held_.front().overtakers >= WireOptions::kOvertakers) {
    schedule(std::move(held_.front().frame), std::max(arrival, held_.front().arrival));
    held_.pop_front();
  }
}

void Channel::release_held(Duration now) {
  while (!held_.empty() && held_.front().until <= now) {
    schedule(std::move(held_.front().frame), held_.front().until);
    held_.pop_front();
  }
}

std::optional<Channel::Frame> Channel::take(Duration now, WireCounters& counters) {
  release_held(now);
  if (in_flight_.empty() || in_flight_.begin()->first.first > now) return std::nullopt;
  std::optional<Frame> frame(std::move(in_flight_.begin()->second));
  in_flight_.erase(in_flight_.begin());
  --counters.in_flight;
  return frame;
}

Duration Channel::next() const noexcept {
  Duration soonest = Duration::max();
  if (!in_flight_.empty()) soonest = in_flight_.begin()->first.first;
  if (!held_.empty()) soonest = std::min(soonest, held_.front().until);
  return soonest;
}

}  // namespace pollux::sim
