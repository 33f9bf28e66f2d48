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

/// Capability (see capability.hpp): what has become of pause frames (Settings::flow_control).
class POLLUX_API FlowControl {
 public:
  static constexpr CapabilityId kId{"flow_control"};

  virtual ~FlowControl() = default;
  /// Asks the card. Never fails: without an answer no modes are active.
  [[nodiscard]] virtual FlowControlState flow_control() = 0;
};

}  // namespace pollux
