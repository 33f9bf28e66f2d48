// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>

#include "settings/asked.hpp"
#include "settings/calls.hpp"
#include "settings/random.hpp"

/// Random arguments of control calls. Most are valid; where a range is small, so that two calls often meet.
namespace pollux::test::settings {

[[nodiscard]] MacAddress random_unicast(Random& random);
[[nodiscard]] MacAddress random_multicast(Random& random);
[[nodiscard]] std::uint16_t random_vlan(Random& random);
[[nodiscard]] RxQueueConfig random_rx_queue(Random& random, const Pools& pools);
[[nodiscard]] TxQueueConfig random_tx_queue(Random& random);
[[nodiscard]] Settings random_config(Random& random, const Pools& pools, const Abilities& abilities);
[[nodiscard]] RssConfig random_rss(Random& random);
[[nodiscard]] FlowRule random_rule(Random& random);
[[nodiscard]] FlowControlConfig random_flow_control(Random& random);
[[nodiscard]] LinkConfig random_link(Random& random, const Abilities& abilities);
[[nodiscard]] QueuePoolsConfig random_pools(Random& random);
[[nodiscard]] VirtualFunctionConfig random_function(Random& random);

}  // namespace pollux::test::settings
