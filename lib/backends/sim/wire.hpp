// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "backends/sim/channel.hpp"
#include "backends/sim/link_partner.hpp"
#include "files/capture_file_writer.hpp"
#include "pollux/backends/sim/wire.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/device/device.hpp"
#include "pollux/device/device_model.hpp"

namespace pollux::sim {

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
