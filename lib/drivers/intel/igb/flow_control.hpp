// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "drivers/intel/igb/card.hpp"
#include "pollux/base/error.hpp"
#include "pollux/net/flow_control.hpp"

namespace pollux::drivers::igb {

/// The bits of the PHY's advertisement for a wish. IEEE 802.3, table 28B-2.
[[nodiscard]] std::uint16_t pause_advertisement(PauseModes wish) noexcept;

/// The modes that result from a wish and the link partner's abilities (PHY register 5). IEEE 802.3, table 28B-3.
[[nodiscard]] PauseModes negotiated_pause(PauseModes wish, std::uint16_t partner) noexcept;

/// `config` with water marks for a packet buffer of `buffer` bytes and frames of `frame` bytes on the wire. Error
/// invalid_argument: they are not in order, or the buffer has no room above or below them.
[[nodiscard]] Result<FlowControlConfig> with_water_marks(const FlowControlConfig& config, std::uint32_t buffer,
                                                         std::uint32_t frame, std::string_view port);

/// Obeys and sends pause frames as `modes` says. `config` has its water marks. Error device_removed.
[[nodiscard]] Result<void> write_flow_control(const igb::Card& card, const FlowControlConfig& config, PauseModes modes);

}  // namespace pollux::drivers::igb
