// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string_view>
#include <vector>

#include "pollux/base/error.hpp"
#include "pollux/net/flow/flow_rule.hpp"

namespace pollux::xdp {

/// The rules that "?rule=" of a URI means: "all", "none", or headers from the lowest up, separated by '+', that a frame
/// must have for the port to take it:
///
///     type:0x88b5    an EtherType           vlan:7                     a VLAN
///     ipv4, ipv6                            from:10.0.0.0/8, to:fd00::1    addresses, or prefixes of them
///     tcp, udp, sctp                        udp:53, tcp:8000-8099      a destination port, or a range
///
/// A word is given once, but for `vlan`: `vlan:1+vlan:2` means a frame with both tags, from the outer to the inner one.
/// Several rules are separated by ';'. `uri` is for messages. Error: invalid_argument.
[[nodiscard]] Result<std::vector<FlowRule>> parse_rules(std::string_view text, std::string_view uri);

}  // namespace pollux::xdp
