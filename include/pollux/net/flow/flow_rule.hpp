// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "pollux/base/api.hpp"
#include "pollux/base/error.hpp"
#include "pollux/mem/mbuf.hpp"
#include "pollux/net/capability.hpp"
#include "pollux/net/rss.hpp"

/// @file
/// Flow rules: which frames, and what to do with them. They are data: the same rule is given to a card (capability
/// Settings::rules) or executed by software (SoftwareClassifier). The items and actions have the semantics of DPDK's
/// rte_flow (DPDK, doc/guides/prog_guide/ethdev/flow_offload.rst). match.hpp builds items by name.

namespace pollux {

/// A header that a match item compares, or `raw` for bytes at any position.
enum class MatchProtocol : std::uint8_t { eth, vlan, ipv4, ipv6, tcp, udp, sctp, raw };

/// One header that a frame must have, and the values of its fields.
struct MatchItem {
  MatchProtocol protocol = MatchProtocol::eth;  ///< which header
  /// The header as on the wire, without options: 14 bytes (eth), 4 (vlan: tag control, then the EtherType after the
  /// tag), 20 (ipv4, tcp), 40 (ipv6), 8 (udp) or 12 (sctp). Empty: any. For `raw`: the bytes to find, 1 to 128.
  std::vector<std::uint8_t> spec = {};
  /// The bits of `spec` that are compared; as long as `spec`. Empty: addresses of eth, ipv4 and ipv6, the VLAN's
  /// number, ports of tcp, udp and sctp, and all bits of `raw`.
  std::vector<std::uint8_t> mask = {};
  /// The end of a range for each field, as long as `spec`; empty for none, and not for `raw`. A field whose bytes are
  /// all 0 or equal to `spec` under the mask has no range. Otherwise a frame's field matches from `spec` to `last`, all
  /// three under the mask.
  std::vector<std::uint8_t> last = {};

  // For `raw` only.
  bool relative = false;    ///< count from the end of the item before, not from the frame's start
  bool search = false;      ///< find the bytes anywhere from the offset on
  std::int32_t offset = 0;  ///< bytes; below 0 only if `relative`
  std::uint16_t limit = 0;  ///< with `search`: how many positions are tried; 0: all

  [[nodiscard]] bool operator==(const MatchItem&) const = default;
};

/// What happens to a frame that matches. Use the functions below.
struct FlowAction {
  /// Where the frame goes.
  enum class Kind : std::uint8_t {
    keep,     ///< as without the rule
    queue,    ///< to `queue`
    drop,     ///< the port does not receive it
    rss,      ///< to the queue of `rss.table` that the hash selects; without a hash to the first one
    receive,  ///< to the port, on the queue on which the frame arrives without the rule
    kernel,   ///< to the kernel's network stack, on a port that shares an interface with it (`xdp:`)
  };
  Kind kind = Kind::keep;                  ///< where the frame goes
  std::uint16_t queue = 0;                 ///< of Kind::queue
  std::optional<std::uint32_t> mark = {};  ///< stored in Mbuf::user
  RssConfig rss = {};                      ///< its table is not empty; it may have any length

  /// This action, and the mark.
  [[nodiscard]] FlowAction with_mark(std::uint32_t number) const {
    FlowAction marked = *this;
    marked.mark = number;
    return marked;
  }
  [[nodiscard]] bool operator==(const FlowAction&) const = default;
};

/// What FlowRule::action may be. Only `to_queues` and `to_queue` name queues, which must exist; `to_mark` keeps the
/// frame's way.
///@{
[[nodiscard]] inline FlowAction to_queue(std::uint16_t queue) {
  return {.kind = FlowAction::Kind::queue, .queue = queue};
}
[[nodiscard]] inline FlowAction to_drop() { return {.kind = FlowAction::Kind::drop}; }
[[nodiscard]] inline FlowAction to_port() { return {.kind = FlowAction::Kind::receive}; }
[[nodiscard]] inline FlowAction to_kernel() { return {.kind = FlowAction::Kind::kernel}; }
[[nodiscard]] inline FlowAction to_mark(std::uint32_t number) { return FlowAction{}.with_mark(number); }
[[nodiscard]] inline FlowAction to_queues(RssConfig rss) {
  return {.kind = FlowAction::Kind::rss, .rss = std::move(rss)};
}
///@}

/// A rule. Its items are in the order of the headers: eth, up to two vlan, ipv4 or ipv6, tcp or udp or sctp, then raw.
/// Headers before the first item are not compared. Between the first and the last item no other header may be left out.
/// A rule concerns the frame as on the wire: a tag that the card has stripped is compared in its place. Tags:
/// - A rule with vlan items compares the outermost tags, and skips others behind them.
/// - A rule without vlan items means what it means for a card: it skips one tag of type 0x8100. Behind another tag
///   (0x88A8, or a second one) it finds no headers.
/// An eth item's type is the first EtherType of the frame if a vlan item follows, and otherwise the one after the tags
/// that the rule skips. Fragments of IP packets have no tcp, udp or sctp. A rule without items matches every frame.
struct FlowRule {
  std::vector<MatchItem> match = {};  ///< what a frame must have; `pollux::match` builds it
  FlowAction action = {};             ///< what happens to such a frame
  /// 0 takes precedence. Of rules with the same priority, the one that was added first takes precedence.
  std::uint32_t priority = 0;

  [[nodiscard]] bool operator==(const FlowRule&) const = default;
};

/// Checks that a rule is well formed, for any port. Error invalid_argument: names the item, the field and the reason.
[[nodiscard]] POLLUX_API Result<void> check_rule(const FlowRule& rule);

/// Whether a frame matches a rule. Any rule and any frame are allowed; nothing beyond the frame is read. An item that
/// `check_rule` rejects does not match.
[[nodiscard]] POLLUX_API bool matches(const FlowRule& rule, const Mbuf& frame) noexcept;

/// Names a rule among those of a port (Settings::rules) or of a SoftwareClassifier.
enum class FlowRuleId : std::uint64_t {};

/// A rule of a SoftwareClassifier.
struct InstalledRule {
  FlowRuleId id{};  ///< what `remove` takes
  FlowRule rule;    ///< as it was added

  [[nodiscard]] bool operator==(const InstalledRule&) const = default;
};

}  // namespace pollux
