// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "pollux/base/api.hpp"
#include "pollux/base/error.hpp"
#include "pollux/net/capability.hpp"
#include "pollux/net/link.hpp"

namespace pollux {

/// Capability (see capability.hpp): which unicast addresses a port receives besides its own. The setting stays in
/// force, through stops and starts, until the port is closed.
class POLLUX_API UnicastFilter {
 public:
  static constexpr CapabilityId kId{"unicast_filter"};

  virtual ~UnicastFilter() = default;
  /// Replaces the further addresses. An address that stays in the list is received without a gap.
  /// Errors, with nothing changed: invalid_argument (no unicast address, given twice, or more than max_unicast),
  /// bad_state (not open, or the port has pools, whose addresses are settings of theirs); device_removed.
  [[nodiscard]] virtual Result<void> set_unicast(std::span<const MacAddress> addresses) = 0;
  /// Those that are set, in their order.
  [[nodiscard]] virtual std::vector<MacAddress> unicast() const = 0;
  /// How many further addresses the port takes: those that the card compares, or, for a port with virtual functions, as
  /// many as its hash table has bits. A hash may let other addresses pass, too. Linux, igb_main.c, igb_set_uta.
  [[nodiscard]] virtual std::size_t max_unicast() const = 0;
};

/// Capability (see capability.hpp): which multicast groups a port receives besides broadcasts. The setting stays in
/// force, through stops and starts, until the port is closed.
class POLLUX_API MulticastFilter {
 public:
  static constexpr CapabilityId kId{"multicast_filter"};

  virtual ~MulticastFilter() = default;
  /// Replaces the requested groups; an empty list receives none. The filter may let other groups pass, too.
  /// Errors: invalid_argument (not a multicast address, or more than the card can hold), bad_state (not open, or the
  /// port has pools), device_removed, timeout, and permission_denied if the owner of the card rejects the request. A
  /// port that is not started requests at its start, and then `start` has the last two errors.
  [[nodiscard]] virtual Result<void> set_multicast(std::span<const MacAddress> groups) = 0;
};

/// Capability (see capability.hpp): which VLANs a port receives, also in promiscuous mode. A physical port receives all
/// VLANs until the first call, and then those that were requested. With virtual functions it receives broadcasts and
/// multicasts only of VLANs that it or a function has requested. Frames without a tag, and with tag 0 (a priority
/// only), always pass. A virtual function's tags are in RxMetadata if its host lets the card strip them, as Pollux
/// does. The setting stays in force, through stops and starts, until the port is closed.
class POLLUX_API VlanFilter {
 public:
  static constexpr CapabilityId kId{"vlan_filter"};

  virtual ~VlanFilter() = default;
  /// `vlan`: 1 to 4,094.
  /// Errors: invalid_argument, bad_state (not open, or the port has pools), busy (virtual functions leave no
  /// room for another VLAN), device_removed, timeout, and permission_denied if the owner of the card rejects the
  /// request. A port that is not started requests at its start, and then `start` has the last two errors.
  [[nodiscard]] virtual Result<void> set_vlan(std::uint16_t vlan, bool receive) = 0;
};

/// Checks the argument of VlanFilter::set_vlan. `port` is its name in the error. Error invalid_argument.
[[nodiscard]] POLLUX_API Result<void> check_vlan(std::string_view port, std::uint16_t vlan);

/// Capability (see capability.hpp): the card strips the VLAN tag of received frames, and RxMetadata::vlan returns it.
/// A frame with two tags loses the outer one, unless DoubleVlan says otherwise; `put_back_vlan_tag` knows where a tag
/// was. While there are virtual functions, broadcasts and multicasts lose their tags even if it is off. The setting
/// stays in force, through stops and starts, until the port is closed. Source: 82575 manual, CTRL.VME; Linux igb,
/// igb_main.c, igb_vlan_mode. With stripping on, the card also inserts the tags that frames to send request
/// (TxOffload::insert_vlan), unless DoubleVlan is set. Otherwise software does.
class POLLUX_API VlanStripping {
 public:
  static constexpr CapabilityId kId{"vlan_stripping"};

  virtual ~VlanStripping() = default;
  /// Off until it is turned on. On a started port it applies from the next frame on; bursts do nothing meanwhile.
  /// Errors: bad_state (closed), device_removed; timeout (nothing has changed: a thread does not end its burst, or
  /// frames wait to be sent whose tags the card would insert).
  [[nodiscard]] virtual Result<void> set_vlan_stripping(bool on) = 0;
  /// As set, whether or not the port is started.
  [[nodiscard]] virtual bool vlan_stripping() const = 0;
};

/// Capability (see capability.hpp): the port's frames have an outer VLAN tag (QinQ), which the card skips. VlanFilter
/// and VlanStripping then concern the inner tag, and packet types, checksums and RSS what follows both. A frame without
/// the outer tag passes the VLAN filter, keeps what tags it has, and has no packet type and no checksum status. Frames
/// up to the MTU may have both tags, but never be longer than the card's longest frame. The setting stays in force,
/// through stops and starts, until the port is closed. Frames that such a port sends need the outer tag, too, if they
/// request checksums or segmentation. Virtual functions and FlowRules cannot be used with this mode. Source: I210
/// datasheet, 7.4.5; DPDK e1000, igb_ethdev.c, igb_vlan_hw_extend_enable. Not tried on silicon.
class POLLUX_API DoubleVlan {
 public:
  static constexpr CapabilityId kId{"double_vlan"};

  virtual ~DoubleVlan() = default;
  /// Sets the EtherType of outer tags (0x88A8 in IEEE 802.1ad), or turns the mode off. It is off until the first call.
  /// On a started port it applies from the next frame on; bursts do nothing meanwhile. A stripped tag of a frame that
  /// still waits in a queue then counts as one of the new mode. Errors: invalid_argument (see check_outer_vlan_type),
  /// bad_state (closed; there are virtual functions or flow rules), device_removed, timeout (as VlanStripping).
  [[nodiscard]] virtual Result<void> set_outer_vlan_type(std::optional<std::uint16_t> ether_type) = 0;
  /// Empty if the mode is off.
  [[nodiscard]] virtual std::optional<std::uint16_t> outer_vlan_type() const = 0;
};

/// Checks the argument of DoubleVlan::set_outer_vlan_type. Rejects lengths (below 0x0600) and the types of IPv4 and
/// IPv6. `port` is its name in the error. Error invalid_argument.
[[nodiscard]] POLLUX_API Result<void> check_outer_vlan_type(std::string_view port, std::uint16_t ether_type);

}  // namespace pollux
