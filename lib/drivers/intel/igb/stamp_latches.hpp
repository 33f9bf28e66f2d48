// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "drivers/intel/igb/card.hpp"
#include "drivers/intel/igb/card_clock.hpp"
#include "pollux/net/frame_stamps.hpp"
#include "pollux/net/port_driver.hpp"
#include "pollux/net/stats.hpp"

namespace pollux::drivers::igb {

/// The card's two latches of time stamps, and the filters that select stamped frames. Thread rule: control calls.
class StampLatches final : public TakenStamps {
 public:
  /// All three outlive this object.
  StampLatches(const igb::Card& card, const CardClock& clock, const PortDriver& port)
      : card_(card), clock_(clock), port_(port) {}

  [[nodiscard]] Result<std::optional<RxFrameStamp>> take_rx_stamp() override;
  [[nodiscard]] Result<std::optional<Time>> take_tx_stamp() override;

  /// Enables the stamps of frames that filters select (write_filters), and forgets earlier ones.
  void write(const FrameStampsConfig& to);
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
  void release();
  [[nodiscard]] bool has_waited(Latch& latch, bool valid) const;

  const igb::Card& card_;
  const CardClock& clock_;
  const PortDriver& port_;
  Latch rx_, tx_;
};

}  // namespace pollux::drivers::igb
