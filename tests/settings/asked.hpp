// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "pollux/net/flow/flow_rule.hpp"
#include "pollux/net/flow_control.hpp"
#include "pollux/net/frame_stamps.hpp"
#include "pollux/net/identify_led.hpp"
#include "pollux/net/interrupts.hpp"
#include "pollux/net/link_control.hpp"
#include "pollux/net/loopback.hpp"
#include "pollux/net/port.hpp"
#include "pollux/net/queue_pools.hpp"
#include "pollux/net/rss.hpp"
#include "pollux/net/settings.hpp"
#include "pollux/net/virtual_functions.hpp"
#include "pollux/net/wake_on_lan.hpp"

namespace pollux::test::settings {

/// What a program has asked of a port, in the terms of the public API. A call that the port refuses changes nothing.
struct Asked {
  std::optional<Settings> config = {};  ///< with the later values of setters and of restarted queues
  std::optional<MacAddress> mac = {};
  std::vector<MacAddress> unicast = {};
  std::vector<MacAddress> multicast = {};
  std::optional<std::set<std::uint16_t>> vlans = {};  ///< empty: the filter was never used
  bool strip_tags = false;
  std::optional<std::uint16_t> outer_type = {};
  std::optional<RssConfig> rss = {};
  std::vector<std::pair<FlowRuleId, FlowRule>> rules = {};  ///< in the order in which they were added
  FlowControlConfig flow_control = {};
  LinkConfig link = {};
  bool phy_enabled = true;
  std::map<std::uint16_t, InterruptModeration> moderation = {};
  std::map<std::uint16_t, std::uint32_t> rates = {};
  std::map<std::uint16_t, std::uint32_t> pool_rates = {};
  std::optional<double> clock = {};  ///< its frequency; empty: the clock was never used
  FrameStampsConfig stamps = {};
  LoopbackMode loopback = LoopbackMode::none;
  WakeEvents wake = {};
  LedMode led = LedMode::automatic;
  QueuePoolsConfig pools = {};
  std::vector<VirtualFunctionConfig> functions = {};
};

/// Brings a port that was just opened to these settings, in one order and without detours, but does not start it.
/// Returns the error of the first call that the port refuses.
[[nodiscard]] Result<void> set_all(Port& port, const Asked& asked);

}  // namespace pollux::test::settings
