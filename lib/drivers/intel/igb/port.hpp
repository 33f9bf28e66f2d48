// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "drivers/intel/gigabit/led.hpp"
#include "drivers/intel/gigabit/nvm_control.hpp"
#include "drivers/intel/gigabit/port.hpp"
#include "drivers/intel/igb/bring_up.hpp"
#include "drivers/intel/igb/card.hpp"
#include "drivers/intel/igb/card_clock.hpp"
#include "drivers/intel/igb/filters.hpp"
#include "drivers/intel/igb/functions.hpp"
#include "drivers/intel/igb/queue_setup.hpp"
#include "drivers/intel/igb/statistics.hpp"
#include "drivers/intel/queue/kept_queues.hpp"
#include "drivers/intel/queue/queue_port.hpp"
#include "net/handover/kept_card.hpp"
#include "net/handover/port_handover.hpp"
#include "pollux/device/device.hpp"
#include "pollux/net/port_driver.hpp"
#include "pollux/net/register_dump.hpp"

namespace pollux::drivers::igb {

/// What of Settings a port of the card has.
[[nodiscard]] SettingSet supported_settings(Device& device, const hw::igb::CardTraits& card);

/// A port of an 82576. Controls the card with the functions of the other files in this folder.
class IgbPort final : public gigabit::GigabitPort, private RegisterDump, private handover::PortHandover {
 public:
  /// Brings the card up. Errors: see probe.
  [[nodiscard]] static Result<std::unique_ptr<PortDriver>> open(const std::shared_ptr<ContextState>& context,
                                                                const hw::igb::CardTraits& traits,
                                                                std::unique_ptr<Device> device);

  [[nodiscard]] Result<std::unique_ptr<ForwardPath>> forward_path(std::uint16_t rx_queue, PortDriver& out,
                                                                  std::uint16_t tx_queue) override;

  [[nodiscard]] Result<void> start() override;
  [[nodiscard]] Result<void> halt() override;

  [[nodiscard]] Result<void> check(const PlacedSettings& from, PlacedSettings& to) override;
  void add_initial(Settings& settings) const override;
  [[nodiscard]] Result<void> apply(const PlacedSettings* from, const PlacedSettings& to) override;
  [[nodiscard]] Result<void> pause(Duration limit) override;
  void unpause() noexcept override;

  void append_counters(std::vector<Counter>& counters) override;
  [[nodiscard]] Result<Duration> service() override;
  [[nodiscard]] std::span<const CapabilityEntry> capabilities() const noexcept override { return capabilities_; }

 private:
  /// What a port with a keeper has.
  struct KeptParts {
    KeptParts() = default;
    explicit KeptParts(std::shared_ptr<handover::KeptCard> of);

    std::shared_ptr<handover::KeptCard> card;  ///< null: there is none
    unsigned area = 0;                         ///< where `queues` are
    std::shared_ptr<intel::KeptQueues> queues;
    handover::CrashLosses losses;
    std::optional<gigabit::CardStatistics::Receiving> left;  ///< by a program that has crashed, until the start
    bool is_running = false;                                 ///< a successor can continue
  };

  IgbPort(std::shared_ptr<ContextState> context, std::unique_ptr<Device> device, const hw::igb::CardTraits& traits,
          std::uint16_t index, KeptParts kept);

  [[nodiscard]] Duration longest_request() const override;
  [[nodiscard]] intel::CountedFrames counted_frames() override;
  [[nodiscard]] Result<void> halt_queue(QueueId queue) override;
  [[nodiscard]] Result<void> start_queue(QueueId queue) override;
  // The card's steps: see GigabitPort.
  [[nodiscard]] gigabit::GigabitCard& card() noexcept override { return card_; }
  [[nodiscard]] const gigabit::GigabitCard& card() const noexcept override { return card_; }
  [[nodiscard]] bool is_same_card(const PciIdentity& other) const noexcept override;
  [[nodiscard]] Result<void> bring_up() override;
  [[nodiscard]] Result<void> attached() override;
  [[nodiscard]] Result<void> reset() override { return reset_card(card_); }
  void before_reset() override {
    end_keeping();
    clock_.suspend();
  }
  void restore() override { packet_buffers_.restore(); }
  void announce(bool loaded) override { announce_driver(card_, loaded); }
  void mask_interrupts() override { igb::mask_interrupts(card_); }
  [[nodiscard]] Result<void> quiesce() override;
  void clear_filters() override { igb::clear_filters(card_); }
  void attach_counters() override { attach_to_counters(gigabit::CardStatistics::Before::discarded); }
  void attach_to_counters(gigabit::CardStatistics::Before before) {
    statistics_.clear_drops_by_write(card_.traits->errata.drops_need_write);
    statistics_.attach(card_.regs, card_.traits->unread_counters, card_.traits->queues, before);
  }
  /// The port's queues are those of the card from `first_queue` on, and it receives from now on; `before`: from a
  /// program that has crashed on.
  void begin_receive(const gigabit::CardStatistics::Receiving* before = nullptr);
  /// The same as `apply`, for a port that may be kept.
  [[nodiscard]] Result<void> write(const PlacedSettings* from, const PlacedSettings& to);
  /// What else than registers follows from settings that `apply` writes.
  void follow_settings(const Settings& settings);
  [[nodiscard]] std::uint32_t receive_buffer(const Settings& settings) const override {
    return packet_buffers_.receive_bytes(settings.packet_buffers);
  }
  void list_capabilities();
  [[nodiscard]] std::vector<RegisterValue> registers() override;

  [[nodiscard]] Result<void> check_self_test() const override;
  [[nodiscard]] std::vector<SelfTestStep> self_test_parts() override;
  [[nodiscard]] SelfTestResult test_vector(int event) override;

  // PortHandover.
  [[nodiscard]] Result<Offer> describe() override;
  [[nodiscard]] Result<bool> stop_receiving() override;
  [[nodiscard]] Result<std::vector<handover::QueueRecord>> freeze() override;
  bool thaw() noexcept override;
  void leave() noexcept override;
  /// Whether another program has the card, and this one prepares itself.
  [[nodiscard]] bool is_shared() noexcept;
  [[nodiscard]] std::shared_ptr<handover::TakenPort> find_taken() const;
  /// In place of `take_card`.
  [[nodiscard]] Result<void> share_card();
  /// The registers and the address of the card of another program's port.
  [[nodiscard]] Result<void> use_card_of(const handover::PortRecord& record);
  /// In place of a start, until the other program has given the card up, and after that.
  [[nodiscard]] Result<void> take_over(const std::shared_ptr<handover::TakenPort>& from);
  [[nodiscard]] Result<void> continue_card();
  /// Gives each queue its ring, and takes the vectors.
  [[nodiscard]] Result<void> start_queues();
  [[nodiscard]] Offer offer_card();
  /// Error not_supported: another program cannot continue with these settings. `what`: "handed over" or "kept".
  [[nodiscard]] Result<void> check_states(const Settings& settings, const char* what) const;
  /// Error invalid_argument: that program has other settings.
  [[nodiscard]] Result<void> check_same(const handover::Json& theirs) const;

  // With a keeper: kept.cpp.
  /// In place of `take_card`, after a crash: the card leaves all memory alone, and what its queues have lost is known.
  [[nodiscard]] Result<void> recover_card();
  [[nodiscard]] Result<void> count_losses(const handover::Json& details);
  [[nodiscard]] Result<void> halt_left_queues();
  /// Continues what `recover_card` has found. False: a start is needed.
  [[nodiscard]] Result<bool> continue_after_crash();
  [[nodiscard]] Result<void> check_kept(const Settings& settings) const;
  /// After a start: a successor can continue from now on.
  void begin_keeping();
  void start_kept_queues(bool started);
  void record_kept(const PlacedSettings& settings);
  void store_kept();
  void end_keeping() noexcept;

  [[nodiscard]] Result<void> expect_open() const;
  /// [I-TXVLAN] Whether the card inserts the tags of frames.
  [[nodiscard]] static bool inserts_tags(const Settings& settings) noexcept {
    return settings.vlan_stripping && !settings.outer_vlan_type;
  }
  /// Which tag the card strips, and how it reports it.
  [[nodiscard]] RxFormat rx_format(const Settings& settings) const noexcept {
    const RxFormat format = settings.outer_vlan_type ? RxFormat::intel_inner_tag : RxFormat::intel_advanced;
    const bool loops = settings.pools.local_loopback || !settings.functions.empty();
    return loops && card_.traits->errata.swaps_looped_tags ? intel::with_looped_tags(format) : format;
  }
  /// The limit of the whole card, for the frames of virtual functions, too.
  [[nodiscard]] ReceiveLimit card_limit(const Settings& settings) const noexcept;
  /// The card's registers of the port's queues: those behind the queues of virtual functions.
  [[nodiscard]] intel::QueueRegisters queue_window() const;

  KeptParts kept_;
  std::vector<CapabilityEntry> capabilities_;
  IgbCard card_;
  gigabit::Leds leds_{card_};
  TxRates tx_rates_{card_};
  CardClock clock_{card_};
  StampLatches stamps_{card_, clock_, *this};
  PacketBufferSizes packet_buffers_{card_};
  FunctionControl functions_{card_, *this, tx_rates_};
  gigabit::NvmControl nvm_{card_};
  bool stopped_receiving_ = false;  // for a successor
};

}  // namespace pollux::drivers::igb
