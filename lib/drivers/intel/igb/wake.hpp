// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "drivers/intel/igb/card.hpp"
#include "pollux/net/link.hpp"
#include "pollux/net/link_control.hpp"
#include "pollux/net/wake_on_lan.hpp"

namespace pollux::drivers::igb {

/// The capability WakeOnLan of a port.
class WakeControl final : public WakeOnLan {
 public:
  explicit WakeControl(const igb::Card& card) noexcept : card_(card) {}

  [[nodiscard]] Result<WakeEvents> wake_support() override;
  [[nodiscard]] WakeEvents wake_events() const override { return events_; }
  [[nodiscard]] Result<void> set_wake_events(const WakeEvents& events) override;

  /// Arms the card with the events, if there are any, after a reset. The link is `config`'s; a change of the link wakes
  /// only if it does not come up now. Errors: those of `start_link` and `disable_master`.
  [[nodiscard]] Result<void> arm(const MacAddress& mac, const LinkConfig& config) const;

 private:
  [[nodiscard]] Result<bool> may_wake() const;

  const igb::Card& card_;
  WakeEvents events_;
};

}  // namespace pollux::drivers::igb
