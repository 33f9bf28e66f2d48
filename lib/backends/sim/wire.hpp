// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "backends/sim/channel.hpp"
#include "backends/sim/link_partner.hpp"
#include "backends/sim/runner.hpp"
#include "pollux/backends/sim/wire.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/device/device_model.hpp"

namespace pollux::sim {

/// Two cards and the wire between them; or one card, and at the wire's other end a function, a TAP, a socket or capture
/// files. With default options a frame that one card sends is at the other before the register write that sent it
/// returns. Time comes from `clock`, which outlives the wire: a ManualClock steps both cards as it goes; any other one
/// is looked at on each register access and flush, or all the time by a thread of the wire's own (`run_threaded`).
/// Thread rule: every member may be called from any thread; whatever makes a card work holds the wire's lock, so
/// handlers are called with it and must not call back into the wire.
class Wire final : public std::enable_shared_from_this<Wire>, private Runner::Machine {
 public:
  using FrameHandler = DeviceModel::WireHandler;

  /// `options` are good ones (see check).
  [[nodiscard]] static std::shared_ptr<Wire> create(Clock& clock, std::unique_ptr<DeviceModel> left,
                                                    std::unique_ptr<DeviceModel> right,
                                                    const WireOptions& options = {});
  /// `link_partner` gets what the card sends.
  [[nodiscard]] static std::shared_ptr<Wire> create(Clock& clock, std::unique_ptr<DeviceModel> card,
                                                    FrameHandler link_partner, const WireOptions& options = {});
  [[nodiscard]] static std::shared_ptr<Wire> create(Clock& clock, std::unique_ptr<DeviceModel> card,
                                                    std::unique_ptr<LinkPartner> link_partner,
                                                    const WireOptions& options = {});
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;
  ~Wire();

  /// Makes `end` (0 or 1) a device's. False if it is one's already or there is no card.
  [[nodiscard]] bool claim(unsigned end);
  void release(unsigned end);
  [[nodiscard]] bool has_card(unsigned end) const noexcept { return ends_[end].card != nullptr; }
  [[nodiscard]] bool claimed() const;

  /// From now on, while an end is claimed, a thread of the wire's own makes the cards work, and register writes are
  /// posted to it. Called before the first claim. Errors: invalid_argument on a ManualClock.
  [[nodiscard]] Result<void> run_threaded();

  /// Runs `work` on the card at `end`, which exists, at the present time and with the lock held.
  template <class Work>
  auto with_card(unsigned end, Work work) {
    const std::lock_guard guard(*lock_);
    catch_up();
    const Settle settle{*this};
    return work(*ends_[end].card);
  }
  /// A register write of a driver's: done at once, or posted to the wire's thread.
  void write_register(const Runner::Write& write) noexcept;
  /// Lets happen what is due by now; cheap if nothing is.
  void flush() noexcept;

  /// A frame (without FCS) from the link partner of a wire with one card.
  void inject(std::span<const std::byte> frame);
  /// Plugs the wire in or out.
  void set_carrier(bool present);

  /// What came out of `end`.
  [[nodiscard]] WireCounters counters(unsigned end) const;
  [[nodiscard]] const WireOptions& options() const noexcept { return options_; }

  [[nodiscard]] std::shared_ptr<std::mutex> lock() const { return lock_; }

 private:
  struct End {
    std::unique_ptr<DeviceModel> card;
    FrameHandler handler;
    std::unique_ptr<LinkPartner> far;
    bool claimed = false;
    bool held_up = false;  // its card has been told to wait, for the wire is busy
    WireCounters sent;
    std::optional<Channel> channel;  // of the frames from here, where the wire does something to them
  };
  struct Frame {
    unsigned from;
    std::vector<std::byte> bytes;
  };
  /// At the end of each piece of work.
  struct Settle {
    Wire& wire;
    ~Settle() { wire.settle(); }
  };

  Wire(Clock& clock, const WireOptions& options);
  void connect();
  void run_or_rest();
  void catch_up();
  void run_until(Duration now);
  void settle();
  void poll_link_partner(Duration now);
  [[nodiscard]] Duration next_on_wire() const noexcept;
  [[nodiscard]] Duration next_event() const noexcept;
  void arrivals(Duration now);
  void carry(unsigned from, std::span<const std::byte> frame);
  void deliver(unsigned from, std::span<const std::byte> frame, bool corrupt);

  // Runner::Machine: what the thread does.
  Duration run() override;
  void write(const Runner::Write& write) noexcept override;

  Clock& clock_;
  const WireOptions options_;
  const std::shared_ptr<std::mutex> lock_ = std::make_shared<std::mutex>();
  std::array<End, 2> ends_;
  Duration now_{0};          // the time of what is happening
  std::deque<Frame> queue_;  // sent while another frame was being delivered
  bool delivering_ = false;
  std::vector<std::byte> padded_;
  std::atomic<Duration::rep> due_{0};  // when `flush` has something to do
  std::mutex runner_lock_;             // for who starts and stops it
  std::unique_ptr<Runner> runner_;
};

}  // namespace pollux::sim
