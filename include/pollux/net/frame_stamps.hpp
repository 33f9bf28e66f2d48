// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "pollux/base/api.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"
#include "pollux/net/capability.hpp"

namespace pollux {

/// The received frames that are stamped: messages of PTP (IEEE 1588), in frames of EtherType 0x88F7 or in UDP
/// datagrams from port 319 to port 319.
enum class StampedMessages : std::uint8_t {
  none,                ///< no frame
  ptp1_sync,           ///< Sync of version 1, which is always in UDP
  ptp1_delay_request,  ///< Delay_Req of version 1
  ptp2_ethernet,       ///< the event messages of version 2 (Sync, Delay_Req, Pdelay_Req, Pdelay_Resp) over Ethernet
  ptp2_udp,            ///< the same in UDP
  ptp2,                ///< both
};

/// Which frames the card stamps.
struct FrameStampsConfig {
  StampedMessages receive = StampedMessages::none;  ///< of the frames that arrive
  bool transmit = false;                            ///< stamp frames that request it (TxOffload::timestamp)
  [[nodiscard]] bool operator==(const FrameStampsConfig&) const = default;
};

/// The stamp of a received message, and what identifies the message.
struct RxFrameStamp {
  Time time{0};                          ///< of the port's clock (PortClock)
  std::array<std::uint8_t, 6> source{};  ///< bytes 22 to 27 of the message: the end of the sender's clock identity
  std::uint16_t sequence = 0;            ///< the message's sequence number
  [[nodiscard]] bool operator==(const RxFrameStamp&) const = default;
};

/// Capability (see capability.hpp): the card notes by its clock (PortClock) when frames arrive and leave: those of
/// Settings::stamps. A card may keep one stamp a direction and stamp no other frame until it has been read, so this is
/// for clock synchronisation, not for measuring each frame. `RxMetadata::is_stamped` tells which received frame has
/// been stamped.
///
/// A stamp that the program does not read is given up by `Port::service`, so that frames are stamped again: once two
/// services at least five seconds apart have seen it. It is counted: `rx_stamps_unread`, `tx_stamps_unread`
/// (Port::extended_stats). Stamps end with a stop.
/// Errors: bad_state (the port is stopped or closed), device_removed.
class POLLUX_API FrameStamps {
 public:
  static constexpr CapabilityId kId{"frame_stamps"};

  virtual ~FrameStamps() = default;
  /// The stamp of a received message; empty if there is none.
  [[nodiscard]] virtual Result<std::optional<RxFrameStamp>> take_rx_stamp() = 0;
  /// When the last frame that requested a stamp and got one was sent; empty if none has been. A program that sends one
  /// such frame at a time knows which it was.
  [[nodiscard]] virtual Result<std::optional<Time>> take_tx_stamp() = 0;
};

}  // namespace pollux
