// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "pollux/base/api.hpp"
#include "pollux/base/error.hpp"
#include "pollux/net/capability.hpp"

namespace pollux {

/// The directions of pause frames (IEEE 802.3, annex 31B).
struct PauseModes {
  bool receive = false;   ///< obey pause frames of the link partner: transmission then waits
  bool transmit = false;  ///< send pause frames when the card's packet buffer fills up

  /// Whether there are pause frames in any direction.
  [[nodiscard]] bool any() const noexcept { return receive || transmit; }
  [[nodiscard]] bool operator==(const PauseModes&) const = default;
};

/// The settings of flow control.
struct FlowControlConfig {
  PauseModes pause = {};  ///< the modes that the port wishes or, without autonegotiation, has
  /// true: the wish is advertised, and the modes in force are those that both sides can (IEEE 802.3, table 28B-3).
  /// false: `pause` is in force, whatever the link partner does.
  bool autonegotiate = true;
  /// The time for which a sent pause frame asks, in units of 512 bit times (0.5 us at 1 Gb/s), at least 2. The card
  /// repeats the frame when half of it has passed.
  std::uint16_t pause_time = 0xFFFF;
  /// Bytes in the packet buffer: at the high mark the card sends a pause frame, at the low mark it ends the pause.
  /// Multiples of 16; `low_water` is below `high_water`. 0: as Linux computes them from the size of the buffer and of
  /// the longest frame.
  std::uint32_t high_water = 0;
  std::uint32_t low_water = 0;  ///< see `high_water`

  [[nodiscard]] bool operator==(const FlowControlConfig&) const = default;
};

/// Flow control as it is.
struct FlowControlState {
  FlowControlConfig config = {};    ///< with the water marks in force
  PauseModes active = {};           ///< none while the link is down or is half duplex
  std::uint32_t packet_buffer = 0;  ///< bytes that the card can hold for receive queues; 0: the port is not open
};

/// The part of FlowControl that is no setting.
class POLLUX_API PauseState {
 public:
  virtual ~PauseState() = default;
  /// Asks the card. Never fails: without an answer no modes are active.
  [[nodiscard]] virtual FlowControlState flow_control() = 0;
};

/// Capability (see capability.hpp): pause frames. Off until it is turned on, since a polled port then cannot stop its
/// link partner. The setting stays in force, through stops and starts, until the port is closed.
/// A card sends pause frames when its packet buffer fills up. That happens only if a receive queue lets frames wait
/// (RxQueueConfig::drop_enable), as the only queue of a port does by default.
class POLLUX_API FlowControl : public PauseState {
 public:
  static constexpr CapabilityId kId{"flow_control"};
  using Part = PauseState;

  /// On a started port, a change of what is advertised restarts autonegotiation: the link is down for some seconds.
  /// The modes in force follow at the next service, or `Port::wait_for_link`, after the link is up.
  /// Errors: invalid_argument (a water mark or a time outside its range), bad_state (closed), device_removed, timeout,
  /// device_fault (the PHY).
  [[nodiscard]] virtual Result<void> set_flow_control(const FlowControlConfig& config) = 0;
};

}  // namespace pollux
