// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <linux/ethtool.h>

#include "port.hpp"

/// Flow rules of ethtool, and those of the protocol (docs/telemetry.md).
namespace pollux::ethtool {

/// What `spec` matches, as a list of items; null if it compares something that no item has.
[[nodiscard]] Json match_of(const ethtool_rx_flow_spec& spec);

/// Writes what `match` compares into `spec`. false: ethtool has no form for it.
[[nodiscard]] bool put_match(const Json& match, ethtool_rx_flow_spec& spec);

}  // namespace pollux::ethtool
