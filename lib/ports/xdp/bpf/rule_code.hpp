// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <linux/bpf.h>

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "pollux/base/error.hpp"
#include "pollux/net/placed_settings.hpp"
#include "ports/xdp/bpf/hints.hpp"

namespace pollux::xdp {

/// The counters of a queue: one for each rule, by its slot, and the last one for frames that go to the kernel.
inline constexpr std::uint32_t kCounterSlots = 64;
inline constexpr std::uint32_t kMaxRules = kCounterSlots - 1;
inline constexpr std::uint32_t kPassedSlot = kCounterSlots - 1;
/// A rule of IPv6 looks behind as many extension headers.
inline constexpr unsigned kMaxExtensions = 6;

/// Whether the program can execute the rule, for the port `name` with `queues` queues. Error not_supported: names the
/// item, the field or the action.
[[nodiscard]] Result<void> check_rule_code(const FlowRule& rule, std::uint16_t queues, std::string_view name);

/// What the program refers to.
struct RuleMaps {
  int sockets = -1;   ///< an XSKMAP: the socket of each queue
  int counters = -1;  ///< an array of one value: kCounterSlots counters of 64 bits for each queue
  std::uint16_t queues = 0;
  HintCalls hints = {};  ///< with any, the program puts a HintRecord in front of the frames that it takes
};

/// An XDP program that executes rules which check_rule_code accepts and which have slots, as `matches` says. A frame
/// that no rule matches, or whose queue has no socket, goes to the kernel. Headers that are not in a frame's first
/// buffer match no rule.
[[nodiscard]] std::vector<bpf_insn> rule_code(std::vector<PlacedRule> rules, const RuleMaps& maps);

}  // namespace pollux::xdp
