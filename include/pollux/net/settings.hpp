// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <bitset>
#include <cstdint>
#include <optional>

#include "pollux/net/flow_control.hpp"
#include "pollux/net/link.hpp"
#include "pollux/net/validated_config.hpp"

namespace pollux {

/// A set of VLANs, by number.
using VlanSet = std::bitset<4096>;

/// What a program has asked of a port. The port has one such value; a setter copies it, changes the copy, has it
/// validated and applied, and keeps it. A value that is absent is the card's choice.
/// Not part of it: actions, such as a reset of the PHY, and what is observed, such as the link.
struct Settings {
  ValidatedConfig queues = {};         ///< the queues and their memory; none until the port is configured
  std::optional<MacAddress> mac = {};  ///< absent: the card's permanent address
  std::uint32_t mtu = 1500;            ///< bytes of an Ethernet payload
  bool promiscuous = false;            ///< receive frames for any destination
  bool all_multicast = false;          ///< receive every multicast frame
  std::optional<VlanSet> vlans = {};   ///< received VLANs (VlanFilter); absent: all, or for a virtual function none
  bool vlan_stripping = false;         ///< see VlanStripping
  std::optional<std::uint16_t> outer_vlan_type = {};  ///< see DoubleVlan
  FlowControlConfig flow_control = {};                ///< see FlowControl
};

}  // namespace pollux
