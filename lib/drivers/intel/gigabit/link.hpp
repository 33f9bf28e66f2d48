// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "drivers/intel/gigabit/card.hpp"
#include "drivers/intel/gigabit/phy.hpp"
#include "pollux/base/error.hpp"
#include "pollux/net/flow_control.hpp"
#include "pollux/net/link.hpp"
#include "pollux/net/link_control.hpp"
#include "pollux/net/loopback.hpp"

namespace pollux::drivers::gigabit {

/// Error not_supported if the port is not set to its internal copper PHY.
[[nodiscard]] Result<void> check_link_mode(const GigabitCard& card);

/// What the link of a port is set to.
struct LinkSetup {
  LoopbackMode loopback = LoopbackMode::none;
  LinkConfig config = {};
  bool enabled = true;      ///< false: the PHY stays powered down
  std::uint16_t pause = 0;  ///< the pause bits that the PHY advertises

  [[nodiscard]] bool operator==(const LinkSetup&) const = default;
};

/// True while a management session of the firmware holds the link.
[[nodiscard]] bool session_holds_link(const GigabitCard& card);

/// Starts the link. Takes at most about 200 ms. During a management session of the firmware, it uses the existing
/// link and does not touch the PHY. The MAC uses the speed and duplex that the PHY negotiates, or the forced ones; flow
/// control is off. Returns before the link is up. Errors: those of `reset_phy` and `set_up_phy`.
[[nodiscard]] Result<void> start_link(const GigabitCard& card, const LinkSetup& setup);

/// Applies another setup to a link that was started; flow control is off afterwards. Does nothing while a management
/// session or a loopback holds the link. Errors: those of `set_up_phy`.
[[nodiscard]] Result<void> restart_link(const GigabitCard& card, const LinkSetup& setup);

/// Reads the link from STATUS. A removed card has no link.
[[nodiscard]] Link read_link(const GigabitCard& card);

/// The bits of the PHY's advertisement for a wish. IEEE 802.3, table 28B-2.
[[nodiscard]] std::uint16_t pause_advertisement(PauseModes wish) noexcept;

/// The modes that result from a wish and the link partner's abilities (PHY register 5). IEEE 802.3, table 28B-3.
[[nodiscard]] PauseModes negotiated_pause(PauseModes wish, std::uint16_t partner) noexcept;

/// `config` with water marks for a packet buffer of `buffer` bytes and frames of `frame` bytes on the wire. Error
/// invalid_argument: they are not in order, or the buffer has no room above or below them.
[[nodiscard]] Result<FlowControlConfig> with_water_marks(const FlowControlConfig& config, std::uint32_t buffer,
                                                         std::uint32_t frame, std::string_view port);

/// Obeys and sends pause frames as `modes` says. `config` has its water marks. Error device_removed.
[[nodiscard]] Result<void> write_flow_control(const GigabitCard& card, const FlowControlConfig& config,
                                              PauseModes modes);

}  // namespace pollux::drivers::gigabit
