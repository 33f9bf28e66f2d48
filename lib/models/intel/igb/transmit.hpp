// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <span>
#include <vector>

#include "hw/intel/igb/limits.hpp"
#include "models/intel/igb/clocks.hpp"
#include "models/intel/igb/filter.hpp"
#include "models/intel/igb/interrupts.hpp"
#include "models/intel/igb/register_file.hpp"
#include "models/intel/igb/statistics.hpp"
#include "models/intel/igb/timers.hpp"
#include "models/intel/igb/tx_queue.hpp"

namespace pollux::models::igb {

/// [I-M-TXRATE] The rate limits of the transmit queues (RTTDQSEL, RTTBCNRC). After a frame, a limited queue waits for
/// the time that the frame takes on the wire, with preamble and gap, times the rate factor. It never catches up.
class TxRates {
 public:
  TxRates(RegisterFile& registers, Timers& timers);

  void reset();
  /// The link's speed in the encoding of STATUS.SPEED.
  void set_speed(std::uint32_t speed) noexcept { speed_ = speed < 2 ? speed : 2; }
  /// True if the queue may not start a frame yet.
  [[nodiscard]] bool waits(std::uint32_t queue) const { return next_[queue] > timers_.now(); }
  [[nodiscard]] Duration wait(std::uint32_t queue) const { return next_[queue] - timers_.now(); }
  /// RTTBCNRC of a queue.
  [[nodiscard]] hw::RTTBCNRC::Value rate(std::uint32_t queue) const { return rate_[queue]; }
  /// The queue has sent a frame of `bytes` without FCS.
  void sent(std::uint32_t queue, std::size_t bytes);

 private:
  RegisterFile& registers_;
  Timers& timers_;
  std::uint32_t selected_ = 0;
  std::uint32_t speed_ = 2;
  std::array<hw::RTTBCNRC::Value, hw::kTxQueues> rate_{};
  std::array<Duration, hw::kTxQueues> next_{};  // when the queue may start its next frame
};

/// What a frame meets on a half-duplex link before it is sent.
struct Contention {
  bool deferred = false;  ///< the wire was busy at first
  std::uint32_t collisions =
      0;              ///< within the first 64 bytes; after the last one that TCTL.CT allows the card gives up
  bool late = false;  ///< a collision after 64 bytes; without TCTL.RTLC the card gives up
};

/// [I-M-COLLISION] The collisions of a half-duplex link. A wire between two in-process cards has none: a test injects
/// them. The frames of a full-duplex link meet none.
class Collisions {
 public:
  Collisions(RegisterFile& registers, Statistics& statistics) : registers_(registers), statistics_(statistics) {}

  void set_half_duplex(bool half) noexcept { half_duplex_ = half; }
  /// One more frame, of those that follow, meets this.
  void inject(const Contention& contention) { injected_.push_back(contention); }
  /// Counts what the next frame meets. False: the card gives up, and the frame is lost.
  [[nodiscard]] bool send();

 private:
  [[nodiscard]] bool count_collisions(std::uint32_t collisions);

  RegisterFile& registers_;
  Statistics& statistics_;
  std::deque<Contention> injected_;
  bool half_duplex_ = false;
};

/// The transmit path: the queues, and the processing of frames between the queues and the wire.
class Transmit final : private TxSink {
 public:
  /// Time until TXDCTL.ENABLE reads as set. An estimate, so that a driver has to wait.
  static constexpr Duration kEnableTime = std::chrono::microseconds(10);
  /// What one register write may send, and what the card sends kWorkPause later if that was not all. A frame or segment
  /// counts 1, and 1 more for each 4 KiB; 8 times as much if the card also switches it between pools. So a driver that
  /// asks for millions of segments holds up whoever runs the card for some milliseconds.
  static constexpr std::uint32_t kWorkPerWrite = 8192;
  static constexpr std::uint32_t kWorkPerPause = 1024;
  static constexpr Duration kWorkPause = std::chrono::milliseconds(1);
  using WireHandler = std::function<void(std::span<const std::byte>)>;
  /// True if the frame is for other pools alone.
  using SwitchHandler = std::function<bool(std::span<const std::byte> frame, std::uint32_t pool)>;

  /// Numbers of dropped frames that no register counts.
  struct Losses {
    std::uint64_t too_long = 0;
    std::uint64_t unreadable = 0;
    std::uint64_t unsupported = 0;  ///< descriptors of an unsupported format
    std::uint64_t without_crc = 0;  ///< without IFCS, and too short for a frame with its own FCS
    std::uint64_t empty = 0;
    std::uint64_t forged = 0;        ///< a pool's frame with another source address than the pool's
    std::uint64_t foreign_vlan = 0;  ///< a pool's frame with the tag of a VLAN in which the pool is not
    std::uint64_t bad_offload = 0;   ///< an offload request whose context does not match the frame
  };

  Transmit(RegisterFile& registers, Timers& timers, Dma& dma, Interrupts& interrupts, Statistics& statistics,
           TimeSync& time, const Pools& pools);

  void reset();
  /// Resets and disables a queue, as the reset of its function does.
  void disable_queue(std::uint32_t number);
  /// Sends what a queue has, after something that may have held it up.
  void resume() { process_all(kWorkPerWrite); }
  /// Sets the handler of sent frames: to the wire, or back into the card if RCTL enables loopback.
  void on_frame(WireHandler handler) { out_ = std::move(handler); }
  /// Sets the handler of frames that are sent with a wrong FCS.
  void on_corrupt_frame(WireHandler handler) { corrupt_out_ = std::move(handler); }
  /// Sets the handler that passes a pool's frames to other pools, before they are sent to the wire.
  void on_switch(SwitchHandler handler) { switch_ = std::move(handler); }
  /// Sets the handler of a write to TCTL.SWXOFF.
  void on_software_pause(std::function<void()> handler) { software_pause_ = std::move(handler); }
  /// While the link is down no descriptor is fetched.
  void set_link(bool up);
  /// Reasons to start no new frame: the link partner has requested a pause, or the wire is full.
  enum class Hold : std::uint8_t { pause = 1, wire = 2 };
  void hold(Hold why, bool held);
  /// `speed`: of the link, in the encoding of STATUS.SPEED.
  void set_speed(std::uint32_t speed) noexcept { rates_.set_speed(speed); }
  [[nodiscard]] Collisions& collisions() noexcept { return collisions_; }

  [[nodiscard]] TxQueue& queue(std::uint32_t number) { return queues_[number]; }
  /// The rate limit of a queue, which no register shows: only the queue that RTTDQSEL selects can be written.
  [[nodiscard]] hw::RTTBCNRC::Value rate(std::uint32_t queue) const { return rates_.rate(queue); }
  [[nodiscard]] const Losses& losses() const noexcept { return losses_; }

 private:
  void install_hooks();
  void reset_queue(std::uint32_t number);
  void schedule_enable(std::uint32_t queue);
  void process(std::uint32_t number);
  void process_all(std::uint32_t work, std::uint32_t first = 0);
  void spend(std::size_t bytes) noexcept;
  [[nodiscard]] bool may_work() const noexcept { return holds_ == 0 && work_ != 0; }
  void finish_write_backs(std::uint32_t number);
  void flush_write_backs(std::uint32_t number);
  [[nodiscard]] bool ready() const override { return may_work() && request_.finished() && !rates_.waits(current_); }
  void send(std::uint32_t number, TxFrame& frame) override;
  void send_with_own_fcs(std::uint32_t number, std::span<const std::byte> frame, std::uint64_t flags);
  void continue_request();
  void send_to_wire(std::uint32_t number, std::span<const std::byte> frame, std::uint64_t flags, std::uint16_t vlan);
  [[nodiscard]] bool reject_forged(std::uint32_t number, const TxFrame& frame);
  /// The tag that the card inserts into a frame for which the queue requests `vlan`.
  [[nodiscard]] std::optional<std::uint16_t> inserted_tag(std::uint32_t number, std::uint64_t flags,
                                                          std::uint16_t vlan) const;
  [[nodiscard]] std::span<const std::byte> with_tag_and_padding(std::span<const std::byte> frame, bool tag,
                                                                std::uint16_t vlan);

  RegisterFile& registers_;
  Timers& timers_;
  const Timers::Id link_timer_;
  const Timers::Id work_timer_;
  Interrupts& interrupts_;
  Statistics& statistics_;
  TimeSync& time_;
  const Pools& pools_;
  std::vector<TxQueue> queues_;
  std::array<Timers::Id, hw::kTxQueues> enable_timer_{};
  std::array<bool, hw::kTxQueues> requested_{};  // the last value written to TXDCTL.ENABLE
  std::array<Timers::Id, hw::kTxQueues> write_back_timer_{};
  WireHandler out_;
  WireHandler corrupt_out_;
  SwitchHandler switch_;
  std::function<void()> software_pause_;
  std::vector<std::byte> outgoing_;
  TxOffload request_;  // whose frames are being sent
  std::uint32_t request_queue_ = 0;
  TxRates rates_;
  Collisions collisions_;
  std::array<Timers::Id, hw::kTxQueues> rate_timer_{};
  std::uint32_t current_ = 0;           // the queue that is being processed
  std::uint32_t work_ = kWorkPerWrite;  // that is left
  bool link_up_ = false;
  std::uint8_t holds_ = 0;   // bits of Hold
  bool processing_ = false;  // prevents recursion: a sent frame may cause a received frame, and so another call
  bool process_again_ = false;
  Losses losses_;
};

}  // namespace pollux::models::igb
