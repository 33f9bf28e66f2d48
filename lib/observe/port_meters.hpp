// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <mutex>
#include <set>
#include <span>
#include <tuple>
#include <vector>

#include "pollux/base/clock.hpp"
#include "pollux/base/cycle_counter.hpp"
#include "pollux/net/open_ports.hpp"
#include "pollux/net/queue_observer.hpp"

namespace pollux::observe {

/// A histogram with a bucket for each power of two: bucket 0 counts zeros, bucket n values from 2^(n-1) to 2^n - 1; the
/// last one counts all that is larger. One thread adds, any thread reads.
template <std::size_t Buckets>
class PowerHistogram {
 public:
  void add(std::uint64_t value) noexcept {
    const auto width = static_cast<std::size_t>(std::bit_width(value));
    auto& bucket = counts_[width < Buckets ? width : Buckets - 1];
    bucket.store(bucket.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t count(std::size_t bucket) const noexcept {
    return counts_[bucket].load(std::memory_order_relaxed);
  }
  static constexpr std::size_t kBuckets = Buckets;

 private:
  std::array<std::atomic<std::uint64_t>, Buckets> counts_{};
};

/// Measures the bursts of one receive queue while it is attached to it. Times are those of the processor's time stamp
/// counter. Thread rule: the polling thread measures, any thread reads.
class RxMeter final : public RxObserver {
 public:
  void received(const RxQueue& queue, std::span<Mbuf* const> frames) noexcept override;
  void found_none(const RxQueue& queue) noexcept override;
  void slept(const RxQueue& queue, std::uint64_t since) noexcept override;

  [[nodiscard]] std::uint64_t bursts() const noexcept { return bursts_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t empty_polls() const noexcept { return empty_polls_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t frames() const noexcept { return frames_.load(std::memory_order_relaxed); }
  /// Cycles from the ends of bursts with frames to the ends of the next polls of the queue, or until the program armed
  /// the queue to sleep, and these frames.
  [[nodiscard]] std::uint64_t busy_cycles() const noexcept { return busy_cycles_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t busy_frames() const noexcept { return busy_frames_.load(std::memory_order_relaxed); }
  [[nodiscard]] const PowerHistogram<12>& burst_sizes() const noexcept { return burst_sizes_; }
  /// Cycles between two polls of the queue, unless the program slept: as long as a frame may wait for the program.
  [[nodiscard]] const PowerHistogram<40>& poll_intervals() const noexcept { return poll_intervals_; }

 private:
  void polled(std::uint64_t frames) noexcept;
  void add_busy(std::uint64_t cycles) noexcept;

  std::atomic<std::uint64_t> bursts_{0};
  std::atomic<std::uint64_t> empty_polls_{0};
  std::atomic<std::uint64_t> frames_{0};
  std::atomic<std::uint64_t> busy_cycles_{0};
  std::atomic<std::uint64_t> busy_frames_{0};
  PowerHistogram<12> burst_sizes_;
  PowerHistogram<40> poll_intervals_;
  std::uint64_t last_poll_ = 0;    // 0: none yet, or none since the program slept
  std::uint64_t last_frames_ = 0;  // of the last poll
};

/// Measures what a program gives to one transmit queue.
class TxMeter final : public TxObserver {
 public:
  void sending(const TxQueue& queue, std::span<Mbuf* const> frames) noexcept override;
  void sent(const TxQueue& queue, std::uint32_t count) noexcept override;

  [[nodiscard]] std::uint64_t bursts() const noexcept { return bursts_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t frames() const noexcept { return frames_.load(std::memory_order_relaxed); }
  /// Frames that found no room in the ring. One that is given again counts again.
  [[nodiscard]] std::uint64_t refused() const noexcept { return refused_.load(std::memory_order_relaxed); }
  [[nodiscard]] const PowerHistogram<12>& burst_sizes() const noexcept { return burst_sizes_; }

 private:
  std::atomic<std::uint64_t> bursts_{0};
  std::atomic<std::uint64_t> frames_{0};
  std::atomic<std::uint64_t> refused_{0};
  PowerHistogram<12> burst_sizes_;
  std::uint64_t given_ = 0;  // in the burst in progress
};

/// The rate of `read_cycles`, measured since the object was made.
class CycleRate {
 public:
  /// 0 if too little time has passed to know it.
  [[nodiscard]] double per_second() const;

 private:
  SteadyClock clock_;
  Time start_ = clock_.now();
  std::uint64_t cycles_ = read_cycles();
};

/// Owns all meters: a service of the Context. One that could not be detached, since a thread does not leave its burst,
/// stays here until the Context ends.
class MeterStore {
 public:
  template <class Meter>
  [[nodiscard]] Meter& make() {
    const std::lock_guard lock(mutex_);
    return std::get<std::list<Meter>>(meters_).emplace_back();
  }
  /// Destroys a meter that is attached to no queue.
  template <class Meter>
  void destroy(const Meter& meter) {
    const std::lock_guard lock(mutex_);
    std::get<std::list<Meter>>(meters_).remove_if([&](const Meter& one) { return &one == &meter; });
  }

 private:
  std::mutex mutex_;
  std::tuple<std::list<RxMeter>, std::list<TxMeter>> meters_;
};

/// The meters of the ports that clients watch: attached while one of them does.
class PortMeters {
 public:
  struct Queues {
    std::vector<RxMeter*> rx;  ///< by queue; nullptr: this queue cannot be observed any more
    std::vector<TxMeter*> tx;
  };

  explicit PortMeters(Context& context) : store_(context.service<MeterStore>()) {}

  /// Threads that share the meters hold it while they use them, and what `find` returns.
  [[nodiscard]] std::unique_lock<std::mutex> lock() { return std::unique_lock(mutex_); }

  /// Error: that of Port::attach_observer; then nothing is attached.
  [[nodiscard]] Result<void> watch(OpenPort& port, std::uint64_t client);
  void unwatch(OpenPort& port, std::uint64_t client);
  /// `client` watches nothing any more. Detaches what nobody watches.
  void forget_client(std::uint64_t client, std::vector<OpenPort>& ports);
  /// Attaches meters to queues that the port got meanwhile. nullptr: nobody watches the port.
  [[nodiscard]] const Queues* find(OpenPort& port);
  /// The rate of the cycles that meters count; 0: not known yet.
  [[nodiscard]] double cycles_per_second() const { return rate_.per_second(); }

 private:
  struct Watched {
    std::set<std::uint64_t> clients;
    Queues queues;
  };
  [[nodiscard]] Result<void> attach(OpenPort& port, Queues& queues);
  void detach(OpenPort& port, const Queues& queues);

  MeterStore& store_;
  std::mutex mutex_;
  CycleRate rate_;
  std::map<std::uint64_t, Watched> watched_;  // by OpenPort::id
};

}  // namespace pollux::observe
