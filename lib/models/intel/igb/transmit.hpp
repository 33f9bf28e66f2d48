// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <span>
#include <vector>

#include "hw/intel/descriptors.hpp"
#include "hw/intel/igb/limits.hpp"
#include "models/intel/igb/clocks.hpp"
#include "models/intel/igb/dma.hpp"
#include "models/intel/igb/filter.hpp"
#include "models/intel/igb/interrupts.hpp"
#include "models/intel/igb/register_file.hpp"

namespace pollux::models::igb {

/// A frame that a transmit queue has assembled from descriptors.
struct TxFrame {
  std::vector<std::byte> bytes;
  std::uint64_t flags = 0;    ///< high word of the first data descriptor: the requested offloads
  intel::Descriptor context;  ///< the context that the first data descriptor selects
  bool too_long = false;
  bool unreadable = false;   ///< some of its bytes could not be read from memory
  bool unsupported = false;  ///< a descriptor format that this model does not support
};

/// [I-M-TXWB] How completed transmit descriptors are written back. The default is what drivers ask for.
struct TxWriteBackStyle {
  bool whole = false;  ///< all 16 bytes, instead of the word with the done bit
  std::uint32_t unrequested =
      0;  ///< of 1,000 descriptors without report-status, how many are written back all the same
  std::uint64_t seed = 1;
};

/// Gets the frames of the transmit queues.
class TxSink {
 public:
  /// True if another descriptor may be fetched.
  [[nodiscard]] virtual bool may_work() const = 0;
  /// True if another frame may be started.
  [[nodiscard]] virtual bool ready() const = 0;
  /// May take the frame's bytes.
  virtual void send(std::uint32_t queue, TxFrame& frame) = 0;

 protected:
  ~TxSink() = default;
};

/// One transmit queue: its ring, its two context descriptors, and the frame that is being assembled.
class CardTxQueue {
 public:
  CardTxQueue(RegisterFile& registers, Dma& dma, std::uint32_t number)
      : registers_(registers), dma_(&dma), number_(number) {}

  void reset();
  /// Accesses memory as another function of the card does.
  void use(Dma& dma) noexcept { dma_ = &dma; }
  [[nodiscard]] bool enabled() const noexcept { return enabled_; }
  /// Called when TXDCTL.ENABLE takes effect.
  void set_enabled(bool enabled);
  void write_head(std::uint32_t value);

  /// For tests: the queue fetches no descriptor until it is reset.
  void hang() noexcept { broken_ = true; }
  /// Fetches descriptors up to the tail while `sink` is ready, and passes each whole frame to it. True if a write-back
  /// was made or is pending.
  bool process(TxSink& sink);

  void set_write_back_style(const TxWriteBackStyle& style) noexcept {
    style_ = style;
    random_ = style.seed + number_;
  }

  /// Performs all pending write-backs. False if there are none.
  bool flush_write_backs() { return waiting_.flush(*dma_, number_); }
  [[nodiscard]] std::size_t waiting_write_backs() const noexcept { return waiting_.size(); }
  /// TXDCTL.WTHRESH.
  [[nodiscard]] std::uint32_t threshold() const;

  /// The most recent context descriptors, by index.
  [[nodiscard]] const std::array<intel::Descriptor, 2>& contexts() const noexcept { return contexts_; }

 private:
  [[nodiscard]] std::uint32_t ring_size() const;
  [[nodiscard]] std::uint32_t head() const { return registers_.get<hw::TDH>(number_).get(hw::TDH::HEAD); }
  [[nodiscard]] std::uint32_t tail() const { return registers_.get<hw::TDT>(number_).get(hw::TDT::TAIL); }
  [[nodiscard]] bool has_work() const;
  void process_descriptor(const intel::Descriptor& descriptor, TxSink& sink);
  void append_data(const intel::Descriptor& descriptor);
  void write_back(std::uint64_t slot, const intel::Descriptor& descriptor);
  [[nodiscard]] bool reports_unasked();

  RegisterFile& registers_;
  Dma* dma_;
  std::uint32_t number_;
  bool enabled_ = false;
  bool broken_ = false;  // true until the queue is enabled again
  bool in_frame_ = false;
  TxFrame frame_;
  std::array<intel::Descriptor, 2> contexts_{};
  WriteBacks waiting_;
  TxWriteBackStyle style_;
  std::uint64_t random_ = 1;
};

/// The checksum and segmentation offloads of a transmit request. The frames are made one by one, so that they can wait
/// for the wire. Field updates of segments: 82575 manual, 5.8.7.1 to 5.8.7.3.
class TxOffload {
 public:
  /// PAYLEN has 18 bits; the headers have at most 127 + 511 + 255 bytes.
  static constexpr std::size_t kMaxRequestBytes = intel::tx::kPayloadMask + 127 + 511 + 255;
  /// The flags of a data descriptor that this class performs.
  static constexpr std::uint64_t kFlags =
      intel::tx::kSegment | intel::tx::kInsertIpChecksum | intel::tx::kInsertL4Checksum;

  /// Starts a request, and takes `bytes`. `flags` is the high word of the first data descriptor. False if the context
  /// does not match the bytes; there is then nothing to send. [I-M-BADCONTEXT]
  bool start(std::vector<std::byte>& bytes, std::uint64_t flags, const intel::Descriptor& context);
  [[nodiscard]] bool finished() const noexcept { return sent_ == count_; }
  /// The next frame, without inserted tag and padding. It is valid until the next call. Precondition: not finished.
  [[nodiscard]] std::span<const std::byte> next();
  [[nodiscard]] std::uint64_t flags() const noexcept { return flags_; }
  [[nodiscard]] std::uint16_t vlan() const noexcept { return context_.vlan; }
  /// Whether the frames' checksum is a CRC.
  [[nodiscard]] bool makes_crc() const noexcept {
    return asks(intel::tx::kInsertL4Checksum) && layer4() == intel::tx::kContextSctp;
  }
  void discard() noexcept { sent_ = count_ = 0; }

 private:
  [[nodiscard]] bool asks(std::uint64_t flag) const noexcept { return (flags_ & flag) != 0; }
  [[nodiscard]] bool is_ipv4() const noexcept { return (context_.kind & intel::tx::kContextIpv4) != 0; }
  [[nodiscard]] std::uint64_t layer4() const noexcept { return context_.kind & intel::tx::kL4TypeMask; }
  [[nodiscard]] std::size_t ip_at() const noexcept { return context_.mac_length; }
  [[nodiscard]] std::size_t layer4_at() const noexcept { return ip_at() + context_.ip_length; }
  [[nodiscard]] std::size_t header_bytes() const noexcept { return layer4_at() + context_.l4_length; }
  [[nodiscard]] bool fits() const noexcept;
  [[nodiscard]] bool can_segment() const noexcept;
  void update_headers(std::span<std::byte> segment) const;
  void insert_checksums(std::span<std::byte> frame) const;

  std::vector<std::byte> bytes_;
  std::vector<std::byte> segment_;
  std::uint64_t flags_ = 0;
  intel::tx::Context context_;
  std::size_t count_ = 0;  // frames of this request
  std::size_t sent_ = 0;
};

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
  void resume() { process_all(0); }
  void set_work_budget(WorkBudget& budget) noexcept { budget_ = &budget; }
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

  [[nodiscard]] CardTxQueue& queue(std::uint32_t number) { return queues_[number]; }
  /// The rate limit of a queue, which no register shows: only the queue that RTTDQSEL selects can be written.
  [[nodiscard]] hw::RTTBCNRC::Value rate(std::uint32_t queue) const { return rates_.rate(queue); }
  [[nodiscard]] const Losses& losses() const noexcept { return losses_; }

 private:
  void install_hooks();
  void reset_queue(std::uint32_t number);
  void schedule_enable(std::uint32_t queue);
  void process(std::uint32_t number);
  void process_all(std::uint32_t first);
  [[nodiscard]] bool may_work() const override { return budget_ == nullptr || budget_->has_left(); }
  void finish_write_backs(std::uint32_t number);
  void flush_write_backs(std::uint32_t number);
  [[nodiscard]] bool ready() const override { return holds_ == 0 && request_.finished() && !rates_.waits(current_); }
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
  std::vector<CardTxQueue> queues_;
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
  std::uint32_t current_ = 0;  // the queue that is being processed
  WorkBudget* budget_ = nullptr;
  bool link_up_ = false;
  std::uint8_t holds_ = 0;   // bits of Hold
  bool processing_ = false;  // prevents recursion: a sent frame may cause a received frame, and so another call
  bool process_again_ = false;
  Losses losses_;
};

}  // namespace pollux::models::igb
