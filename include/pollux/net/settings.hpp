// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <bitset>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "pollux/net/flow/flow_rules.hpp"
#include "pollux/net/flow_control.hpp"
#include "pollux/net/frame_stamps.hpp"
#include "pollux/net/identify_led.hpp"
#include "pollux/net/interrupts.hpp"
#include "pollux/net/link.hpp"
#include "pollux/net/link_control.hpp"
#include "pollux/net/loopback.hpp"
#include "pollux/net/queue_pools.hpp"
#include "pollux/net/rss.hpp"
#include "pollux/net/validated_config.hpp"
#include "pollux/net/virtual_functions.hpp"
#include "pollux/net/wake_on_lan.hpp"

namespace pollux {

/// A set of VLANs, by number.
using VlanSet = std::bitset<4096>;

/// A flow rule of a port (FlowRules), and the filter that its card has for it, which it keeps: the driver's choice.
struct PlacedRule : InstalledRule {
  std::optional<std::uint32_t> slot = {};  ///< of the card's filters of its kind

  [[nodiscard]] bool operator==(const PlacedRule&) const = default;
};

/// The filters that a card has for addresses and VLANs, which keep them as long as they are set: the driver's choice.
struct FilterSlots {
  std::map<std::uint16_t, MacAddress> addresses = {};
  std::map<std::uint16_t, std::uint16_t> vlans = {};

  [[nodiscard]] bool operator==(const FilterSlots&) const = default;
};

/// What a program has asked of a port. The port has one such value; a setter copies it, changes the copy, has it
/// validated and applied, and keeps it. A value that is absent is the card's choice.
/// Not part of it: actions, such as a reset of the PHY, and what is observed, such as the link.
struct Settings {
  ValidatedConfig queues = {};             ///< the queues and their memory; none until the port is configured
  std::optional<MacAddress> mac = {};      ///< absent: the card's permanent address
  std::uint32_t mtu = 1500;                ///< bytes of an Ethernet payload
  bool promiscuous = false;                ///< receive frames for any destination
  bool all_multicast = false;              ///< receive every multicast frame
  std::vector<MacAddress> unicast = {};    ///< see UnicastFilter
  std::vector<MacAddress> multicast = {};  ///< see MulticastFilter; in order, each once
  std::optional<VlanSet> vlans = {};       ///< received VLANs (VlanFilter); absent: all, or for a virtual function none
  bool vlan_stripping = false;             ///< see VlanStripping
  std::optional<std::uint16_t> outer_vlan_type = {};          ///< see DoubleVlan
  FilterSlots slots = {};                                     ///< of the addresses and VLANs above, and of functions
  std::vector<PlacedRule> rules = {};                         ///< in the order of their ids
  std::uint64_t last_rule = 0;                                ///< the id of the rule that was added last
  std::vector<VirtualFunctionConfig> functions = {};          ///< those that are enabled (VirtualFunctions)
  std::optional<RssConfig> rss = {};                          ///< see Rss; absent: over all queues
  QueuePoolsConfig pools = {};                                ///< see QueuePools
  std::map<std::uint16_t, std::uint32_t> tx_rates = {};       ///< by queue, in Mb/s (TxRateLimit); absent: no limit
  std::map<std::uint16_t, std::uint32_t> pool_tx_rates = {};  ///< by pool
  LoopbackMode loopback = LoopbackMode::none;
  FlowControlConfig flow_control = {};                           ///< see FlowControl
  LinkConfig link = {};                                          ///< see LinkControl
  bool phy_enabled = true;                                       ///< see LinkControl
  std::map<std::uint16_t, InterruptModeration> moderation = {};  ///< by receive queue (Interrupts); absent: none
  WakeEvents wake = {};                                          ///< see WakeOnLan
  LedMode led = LedMode::automatic;                              ///< see IdentifyLed
  FrameStampsConfig stamps = {};                                 ///< see FrameStamps
  std::optional<double> clock_frequency = {};                    ///< in ppb (PortClock); absent: the clock does not run

  [[nodiscard]] bool operator==(const Settings&) const = default;
};

/// The limit of a queue or pool in tx_rates or pool_tx_rates, in Mb/s; 0: none.
[[nodiscard]] POLLUX_API std::uint32_t rate_of(const std::map<std::uint16_t, std::uint32_t>& rates,
                                               std::uint16_t index) noexcept;

}  // namespace pollux
