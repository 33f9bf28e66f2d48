// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "backends/sim/link_partner.hpp"
#include "base/file_descriptor.hpp"
#include "base/own_thread.hpp"
#include "files/capture_file_writer.hpp"
#include "pollux/backends/sim/wire.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"
#include "pollux/device/device.hpp"
#include "pollux/device/device_model.hpp"

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
  OwnThread thread_;
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
  [[nodiscard]] Duration free_at() const noexcept { return full() ? Duration::max() : sent_ends_[oldest_]; }

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
  Duration sent_at_{0};     // when the last bit of the last frame is sent
  std::uint64_t rest_ = 0;  // of a nanosecond, in 1 / rate; so that frames one after the other have the exact rate
  std::array<Duration, kBacklog> sent_ends_{};  // the same of the last kBacklog frames, if there is a rate
  std::size_t oldest_ = 0;                      // the index of the first of them
};

/// A wire that connects two in-process cards, or one card with a function, a TAP, a socket or capture files.
/// With default options a frame arrives before the register write that sends it returns. `clock` gives the time and
/// outlives the wire. A ManualClock advances the cards when it advances. Any other clock is read on each register
/// access and flush, or continuously by the wire's own thread (`run_threaded`). Thread rule: every member may be called
/// from any thread. Cards run with the wire's lock held, so handlers are called with it and must not call back into the
/// wire.
class Wire final : public std::enable_shared_from_this<Wire>, private Runner::Machine {
 public:
  using FrameHandler = DeviceModel::WireHandler;

  /// `options` must be valid (see check).
  [[nodiscard]] static std::shared_ptr<Wire> create(Clock& clock, std::unique_ptr<DeviceModel> left,
                                                    std::unique_ptr<DeviceModel> right,
                                                    const WireOptions& options = {});
  /// `link_partner` gets the frames that the card sends.
  [[nodiscard]] static std::shared_ptr<Wire> create(Clock& clock, std::unique_ptr<DeviceModel> card,
                                                    FrameHandler link_partner, const WireOptions& options = {});
  [[nodiscard]] static std::shared_ptr<Wire> create(Clock& clock, std::unique_ptr<DeviceModel> card,
                                                    std::unique_ptr<LinkPartner> link_partner,
                                                    const WireOptions& options = {});
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;
  ~Wire();

  /// A card's place: an end of the wire (0 or 1), or `place_of_function`.
  static constexpr unsigned kMaxFunctions = 8;
  [[nodiscard]] static constexpr unsigned place_of_function(unsigned end, unsigned function) noexcept {
    return 2 + end * kMaxFunctions + function;
  }

  /// Claims a place for a device. False if it is already claimed or has no card.
  [[nodiscard]] bool claim(unsigned place);
  void release(unsigned place);
  [[nodiscard]] bool has_card(unsigned place) const noexcept { return card_at(place) != nullptr; }
  [[nodiscard]] bool claimed() const;

  /// Runs the cards on the wire's own thread while an end is claimed. Register writes are posted to that thread. Call
  /// before the first claim. Errors: invalid_argument on a ManualClock.
  [[nodiscard]] Result<void> run_threaded();

  /// Runs `work` on the card at `place`, at the current time and with the lock held. The card must exist.
  template <class Work>
  auto with_card(unsigned place, Work work) {
    const std::lock_guard guard(*lock_);
    catch_up();
    const Settle settle{*this};
    budget_->start(WorkBudget::kPerAccess);
    return work(*card_at(place));
  }
  /// Writes each frame that enters the wire to `file`, until the disk is full. Call before the first claim.
  void capture(files::CaptureFileWriter file) { capture_.emplace(std::move(file)); }

  /// Executes a driver's register write at once, or posts it to the wire's thread.
  void write_register(const Runner::Write& write) noexcept;
  /// Processes all events that are due. Cheap if there are none.
  void flush() noexcept;
  /// When `flush` has work; never if the wire's own thread does it.
  [[nodiscard]] Device::Wakeup next_wakeup() const noexcept {
    if (runner_ != nullptr) return {};
    return {Time(wakeup_.load(std::memory_order_relaxed)), wakeup_descriptor_.load(std::memory_order_relaxed)};
  }

  /// Sends a frame (without FCS) from the link partner of a wire with one card.
  void inject(std::span<const std::byte> frame);
  /// Connects or disconnects the wire.
  void set_carrier(bool present);

  /// Whether `take_reports` returns any.
  [[nodiscard]] bool has_reports() const noexcept { return has_reports_.load(std::memory_order_relaxed); }
  /// What has happened to the wire's files since the last call. The devices log it.
  [[nodiscard]] std::vector<WireReport> take_reports();

  /// Counters of the frames that `end` has sent.
  [[nodiscard]] WireCounters counters(unsigned end) const;
  [[nodiscard]] const WireOptions& options() const noexcept { return options_; }

  [[nodiscard]] std::shared_ptr<std::mutex> lock() const { return lock_; }
  /// What its cards may still do. Used with the lock held.
  [[nodiscard]] std::shared_ptr<WorkBudget> budget() const { return budget_; }

 private:
  struct End {
    std::unique_ptr<DeviceModel> card;
    FrameHandler handler;
    std::unique_ptr<LinkPartner> link_partner;
    bool claimed = false;
    bool paused = false;  // its card was told to pause, because the wire is busy
    WireCounters sent;
    std::optional<Channel> channel;  // for frames from this end; absent with default options
  };
  struct Frame {
    unsigned from;
    std::vector<std::byte> bytes;
    bool corrupt;
  };
  /// Calls `settle` at the end of a scope.
  struct Settle {
    Wire& wire;
    ~Settle() { wire.settle(); }
  };

  Wire(Clock& clock, const WireOptions& options);
  [[nodiscard]] DeviceModel* card_at(unsigned place) const noexcept;
  void connect();
  void connect_phys();
  void start_or_stop_runner();
  void catch_up();
  void run_until(Duration now);
  std::int64_t advance_cards(Duration now);
  void settle();
  void collect_reports(bool closing);
  void poll_link_partner(Duration now);
  [[nodiscard]] Duration next_on_wire() const noexcept;
  [[nodiscard]] Duration next_on_cards() const noexcept;
  [[nodiscard]] Duration next_from_link_partner() const noexcept;
  [[nodiscard]] bool takes_from_link_partner() const noexcept;
  void process_arrivals(Duration now);
  void carry(unsigned from, std::span<const std::byte> frame, bool corrupt = false);
  void deliver(unsigned from, std::span<const std::byte> frame, bool corrupt);

  // Runner::Machine, called by the thread.
  Duration run() override;
  void write(const Runner::Write& write) noexcept override;

  Clock& clock_;
  const WireOptions options_;
  const std::shared_ptr<std::mutex> lock_ = std::make_shared<std::mutex>();
  const std::shared_ptr<WorkBudget> budget_ = std::make_shared<WorkBudget>();
  std::array<End, 2> ends_;
  std::array<bool, 2 * kMaxFunctions> functions_claimed_{};
  std::optional<files::CaptureFileWriter> capture_;
  Duration now_{0};          // time of the event that is being processed
  std::deque<Frame> queue_;  // frames sent while another frame was being delivered
  bool delivering_ = false;
  std::vector<std::byte> padded_;
  std::atomic<Duration::rep> due_{0};       // when `flush` has work
  std::atomic<Duration::rep> wakeup_{0};    // the same, without what `wakeup_descriptor_` announces
  std::atomic<int> wakeup_descriptor_{-1};  // of the link partner, while the card takes its frames
  std::vector<WireReport> reports_;
  std::atomic<bool> has_reports_{false};
  std::mutex runner_lock_;  // held while the runner is started or stopped
  std::unique_ptr<Runner> runner_;
};

}  // namespace pollux::sim
