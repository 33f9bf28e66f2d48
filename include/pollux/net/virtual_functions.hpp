// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "pollux/base/api.hpp"
#include "pollux/base/error.hpp"
#include "pollux/net/capability.hpp"
#include "pollux/net/link.hpp"

namespace pollux {

/// What an administrator sets for one virtual function, as `ip link set NAME vf N` does.
struct VirtualFunctionConfig {
  /// The function's address. An untrusted function cannot change it. nullopt: the function chooses one itself.
  std::optional<MacAddress> mac = {};
  /// The function is in this VLAN and does not see its tag: the card inserts it into what the function sends, and
  /// strips it from what it receives. Frames without a tag, or with tag 0, do not reach the function. 0: none; the
  /// function gets these frames, and may join VLANs itself.
  std::uint16_t vlan = 0;
  std::uint8_t qos = 0;        ///< priority of the inserted tag, 0 to 7
  std::uint32_t max_rate = 0;  ///< sent by both queues, in Mb/s; 0: no limit
  bool spoof_check = true;     ///< the card drops what the function sends under another address
  bool trusted = false;        ///< it may replace the address above
  bool enabled = true;         ///< false: it neither receives nor sends, whatever the link's state

  [[nodiscard]] bool operator==(const VirtualFunctionConfig&) const = default;
};

/// Why a request of a virtual function was refused.
enum class VirtualFunctionRefusal : std::uint8_t {
  not_ready,             ///< it had not announced its reset
  unknown_request,       ///< a message that the driver does not know
  address_is_set,        ///< VirtualFunctionConfig::mac is set, and the function is not trusted
  invalid_address,       ///< all zero, or a group's
  too_many_addresses,    ///< the card has no filter left for it
  vlan_is_set,           ///< VirtualFunctionConfig::vlan is set
  invalid_vlan,          ///< beyond the numbers that a VLAN may have
  too_many_vlans,        ///< the card has no filter left for it
  invalid_frame_length,  ///< too short for any frame, or above what the card can receive
  promiscuous,           ///< the card has no promiscuous mode for one function
  mailbox_held,          ///< it did not release the mailbox
};
inline constexpr std::size_t kVirtualFunctionRefusals = 11;  ///< number of values of VirtualFunctionRefusal

/// The refusal's name as in the source.
[[nodiscard]] POLLUX_API std::string_view to_string(VirtualFunctionRefusal refusal) noexcept;

/// A virtual function's frames, as the card counts them. Bytes include the FCS.
struct VirtualFunctionCounters {
  /// Since the function was enabled.
  ///@{
  std::uint64_t rx_packets = 0, rx_bytes = 0;
  std::uint64_t tx_packets = 0, tx_bytes = 0;
  std::uint64_t rx_multicast = 0;
  ///@}
  std::uint64_t rx_local_packets = 0;  ///< those of rx_packets that came from the same card
  std::uint64_t tx_local_packets = 0;  ///< those of tx_packets that did not leave the card
};

/// What the physical port knows about a virtual function.
struct VirtualFunctionState {
  VirtualFunctionConfig config;        ///< as set by the physical port
  std::optional<MacAddress> mac = {};  ///< in use: set, or chosen by the function
  bool driver_up = false;              ///< its driver has announced itself since the last reset
  std::uint64_t announcements = 0;     ///< how often a driver has announced itself
  std::uint64_t requests = 0;          ///< messages taken from its mailbox
  std::array<std::uint64_t, kVirtualFunctionRefusals> refused{};  ///< by VirtualFunctionRefusal
  /// Of the function (function level reset, or one that its driver asks for), since it was enabled.
  std::uint64_t resets = 0;
  /// How often the card reported forged frames of it, which it dropped; a lower bound of their number.
  std::uint64_t spoof_events = 0;
  VirtualFunctionCounters counters;  ///< see there
};

/// Capability (see capability.hpp): the virtual functions (SR-IOV) of a physical port (Settings::functions). While
/// there are any, the port has one receive and one transmit queue; it counts the frames of all functions as its own;
/// its further addresses (Settings::unicast, multicast) pass by their hash; pools, flow rules, outer VLAN tags and
/// stamps of sent frames (FrameStamps) cannot be used. A frame that finds no descriptor is dropped, whatever
/// RxQueueConfig::drop_enable says, so that a queue that nobody polls holds up no other. Frames between functions, or a
/// function and the port, do not leave the card. The port serves the functions' requests from its start to its stop, in
/// the Context's control object. Each start or reset of the port resets the functions: their drivers learn of it and
/// must start again. Settings stay in force until the functions are disabled, the port's FLR included. Source: Linux,
/// igb_main.c: igb_msg_task and the functions that it calls.
class POLLUX_API VirtualFunctions {
 public:
  static constexpr CapabilityId kId{"virtual_functions"};

  virtual ~VirtualFunctions() = default;
  /// The highest number of functions; 0 if the backend or the card has none.
  [[nodiscard]] virtual unsigned max_functions() const = 0;
  /// Errors: invalid_argument (no such function), bad_state (closed).
  [[nodiscard]] virtual Result<VirtualFunctionState> function(unsigned number) = 0;
  /// Resets one function. Its driver must start again. Errors: invalid_argument, bad_state (stopped or closed).
  [[nodiscard]] virtual Result<void> reset_function(unsigned number) = 0;
};

}  // namespace pollux
