// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "drivers/intel/igb/card.hpp"
#include "drivers/intel/igb/card_clock.hpp"
#include "drivers/intel/igb/flow_filters.hpp"
#include "pollux/net/frame_stamps.hpp"
#include "pollux/net/stats.hpp"

namespace pollux::drivers::igb {

/// The card's two latches of time stamps, and the filters that select stamped frames. Thread rule: control calls.
class StampLatches final : public FrameStamps {
 public:
  /// All three outlive this object. `may_transmit`: whether the port's other features allow stamps of sent frames.
  StampLatches(const igb::Card& card, CardClock& clock, FlowFilters& filters,
               std::function<Result<void>()> may_transmit)
      : card_(card), clock_(clock), filters_(filters), may_transmit_(std::move(may_transmit)) {}

  [[nodiscard]] Result<void> set_frame_stamps(const FrameStampsConfig& config) override;
  [[nodiscard]] FrameStampsConfig frame_stamps() const override { return config_; }
  [[nodiscard]] Result<std::optional<RxFrameStamp>> take_rx_stamp() override;
  [[nodiscard]] Result<std::optional<Time>> take_tx_stamp() override;

  /// Writes the settings after a reset, which clears them; the clock runs again.
  void start();
  void stop() noexcept { running_ = false; }
  /// Releases stamps that have waited too long. Call it regularly while the port runs.
  void release_unread();
  void append_counters(std::vector<Counter>& counters) const;

 private:
  /// What is known about a latch.
  struct Latch {
    std::optional<Time> seen_at;  // by the Context's clock: when an unread stamp was first seen
    std::uint64_t taken = 0;
    std::uint64_t unread = 0;
  };
  [[nodiscard]] Result<void> expect_running() const;
  [[nodiscard]] bool rx_valid() const { return card_.regs.read<reg::TSYNCRXCTL>().has(reg::TSYNCRXCTL::VALID); }
  [[nodiscard]] bool tx_valid() const { return card_.regs.read<reg::TSYNCTXCTL>().has(reg::TSYNCTXCTL::VALID); }
  [[nodiscard]] std::uint64_t read_rx() const;
  [[nodiscard]] std::uint64_t read_tx() const;
  void write() const;
  void release();
  [[nodiscard]] bool has_waited(Latch& latch, bool valid) const;

  const igb::Card& card_;
  CardClock& clock_;
  FlowFilters& filters_;
  std::function<Result<void>()> may_transmit_;
  FrameStampsConfig config_;
  Latch rx_, tx_;
  bool running_ = false;
};

}  // namespace pollux::drivers::igb
