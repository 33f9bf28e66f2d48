// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "base/file_descriptor.hpp"
#include "pollux/backends/sim/wire.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"

namespace pollux::sim {

/// A thread that runs in-process cards, and the queue of register writes posted to it.
/// Thread rule: `post` from any thread; `start` and `stop` from one thread at a time; `process_posted` under the lock
/// of the Machine.
class Runner {
 public:
  struct Write {
    unsigned place = 0;  ///< the card's, see Wire
    unsigned bar = 0;
    std::uint32_t offset = 0;
    unsigned width = 4;  ///< bytes
    std::uint32_t value = 0;
  };
  /// The cards that the thread runs. Outlives the Runner.
  class Machine {
   public:
    /// Does all work that is due, and returns the time until the next work. The thread calls it without any lock.
    virtual Duration run() = 0;
    /// Executes a posted write. Called by process_posted.
    virtual void write(const Write& write) noexcept = 0;

   protected:
    ~Machine() = default;
  };
  /// Maximum number of posted writes. Beyond it the caller executes the write itself.
  static constexpr std::size_t kMaxPosted = 256;

  /// Error io_error if no eventfd can be created.
  [[nodiscard]] static Result<std::unique_ptr<Runner>> create(Machine& machine);
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;
  ~Runner() { stop(); }

  /// Starts the thread unless it runs. If the system cannot start a thread, `post` returns false.
  void start();
  /// Ends the thread and waits for it. Writes that are still posted stay queued for process_posted.
  void stop();
  /// False if the write cannot be posted. The caller then executes it, after process_posted.
  [[nodiscard]] bool post(const Write& write) noexcept;
  /// Passes all posted writes to the Machine, in order.
  void process_posted() noexcept;

 private:
  Runner(Machine& machine, FileDescriptor wake) : machine_(machine), wake_(std::move(wake)) {
    posted_.reserve(kMaxPosted);
    taken_.reserve(kMaxPosted);
  }
  void loop();
  void sleep(Duration span) noexcept;
  void wake() noexcept;

  Machine& machine_;
  FileDescriptor wake_;
  std::thread thread_;
  std::atomic<bool> running_{false};
  std::atomic<bool> asleep_{false};
  std::atomic<bool> has_posted_{false};
  std::mutex post_lock_;
  std::vector<Write> posted_;  // under post_lock_
  std::vector<Write> taken_;   // under the machine's lock
};

/// A random number generator with the same sequence on every platform (splitmix64: Steele, Lea and Flood, 2014).
class Random {
 public:
  explicit Random(std::uint64_t seed) noexcept : state_(seed) {}
  [[nodiscard]] std::uint64_t next() noexcept {
    state_ += 0x9E3779B97F4A7C15U;
    std::uint64_t value = state_;
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9U;
    value = (value ^ value >> 27) * 0x94D049BB133111EBU;
    return value ^ value >> 31;
  }
  /// True with the given probability.
  /// From 0 to `limit`, uniformly. `limit` is far below 2^64, so the remainder is no bias that matters.
  [[nodiscard]] std::uint64_t up_to(std::uint64_t limit) noexcept { return next() % (limit + 1); }
  [[nodiscard]] bool chance(double probability) noexcept {
    return static_cast<double>(next() >> 11) * 0x1.0p-53 < probability;
  }

 private:
  std::uint64_t state_;
};

/// One direction of a wire with rate, delay or impairments: stores each frame until it arrives, or drops it.
/// Thread rule: one thread at a time; the caller holds the wire's lock.
class Channel {
 public:
  struct Frame {
    std::vector<std::byte> bytes;
    bool corrupt = false;  ///< its frame check sequence is wrong
  };
  /// A sender is paused while this many frames wait to be sent.
  static constexpr std::size_t kBacklog = 64;
  /// Maximum number of frames in one direction, in flight and held back.
  static constexpr std::size_t kCapacity = 1 << 16;

  /// `direction` gives each direction its own random sequence.
  Channel(const WireOptions& options, unsigned direction)
      : options_(options), random_(options.seed * 2 + direction), jitter_(~(options.seed * 2 + direction)) {}

  /// Sends a frame (without FCS) at `now`, applies the impairments and counts them.
  /// `corrupt`: its frame check sequence is wrong already.
  void put(std::span<const std::byte> frame, Duration now, WireCounters& counters, bool corrupt = false);
  /// The next frame that has arrived by `now`, in order of arrival.
  [[nodiscard]] std::optional<Frame> take(Duration now, WireCounters& counters);

  /// When the next frame arrives; Duration::max() if no frame is in flight.
  [[nodiscard]] Duration next() const noexcept;
  /// True if a sender should pause: until `free_at`, or until a frame arrives if the channel is full.
  [[nodiscard]] bool congested(Duration now) const noexcept { return full() || free_at() > now; }
  [[nodiscard]] Duration free_at() const noexcept { return full() ? Duration::max() : sent_at_ - backlog_time_; }

 private:
  /// True if there is no space for another frame and its duplicate.
  [[nodiscard]] bool full() const noexcept { return in_flight_.size() + held_.size() + 2 > kCapacity; }
  /// Sorts by arrival time, then by sending order.
  using Arrival = std::pair<Duration, std::uint64_t>;
  struct Held {
    Frame frame;
    Duration arrival{0};
    Duration until{0};
    unsigned overtakers = 0;
  };

  void send(Frame frame, Duration arrival, WireCounters& counters);
  void schedule(Frame frame, Duration arrival);
  void overtake_held(Duration arrival);
  void release_held(Duration now);
  /// The frame begins when the last one has been sent, or at `now` if that is later.
  void occupy(std::size_t bytes, Duration now) noexcept;
  [[nodiscard]] static bool change_a_byte(Frame& frame, std::size_t from, std::uint64_t random);

  WireOptions options_;
  Random random_;
  Random jitter_;  // another sequence, so that jitter does not change which frames the impairments select
  std::map<Arrival, Frame> in_flight_;
  std::deque<Held> held_;  // held back for reordering, in sending order
  std::uint64_t sequence_ = 0;
  Duration sent_at_{0};       // when the last bit of the last frame is sent
  std::uint64_t rest_ = 0;    // of a nanosecond, in 1 / rate; so that frames one after the other have the exact rate
  Duration backlog_time_{0};  // time to send kBacklog frames as long as the last one
};

}  // namespace pollux::sim
