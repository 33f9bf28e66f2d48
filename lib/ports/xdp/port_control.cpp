// SPDX-License-Identifier: BSD-3-Clause
// The calls that observe a running port.
#include <string>

#include <fmt/format.h>

#include "ports/xdp/port.hpp"

namespace pollux::xdp {

std::vector<PortFact> XdpPort::facts() {
  const std::size_t rules = settings().rules.size();
  std::vector<PortFact> facts{
      {"takes", rules == 0 ? "no frames: no rule says which" : fmt::format("frames by {} flow rules", rules)}};
  if (busy_poll_) facts.push_back({"busy polling", fmt::format("{} us a call", *busy_poll_)});
  if (hints_ != 0) {
    const std::string hash = (hints_ & Hint::hash) != 0 ? "hash" : "";
    const std::string vlan = (hints_ & Hint::vlan) != 0 ? "VLAN tag" : "";
    facts.push_back({"hints", hash + (hash.empty() || vlan.empty() ? "" : ", ") + vlan});
  }
  if (!interface_.state().is_known) facts.push_back({"link", "unknown: the helper has ended"});
  if (!mode_text_.empty()) facts.insert(facts.begin(), {"mode", mode_text_});
  return facts;
}

// What the kernel dropped has not reached a queue.
Stats XdpPort::stats() {
  Stats stats = ports::SoftwarePort::stats();
  const KernelCounts kernel = counts();
  stats.rx_missed_errors = kernel.rx_dropped + kernel.rx_ring_full;
  stats.rx_packets += stats.rx_missed_errors;
  return stats;
}

void XdpPort::append_counters(std::vector<Counter>& counters) {
  const KernelCounts kernel = counts();
  std::uint64_t copied = 0;
  std::uint64_t refused = 0;
  for (const XdpTxQueue& queue : tx_) {
    copied += queue.copied();
    refused += queue.refused();
  }
  counters.insert(counters.end(), {{"xdp_rx_dropped", kernel.rx_dropped},
                                   {"xdp_rx_invalid_descs", kernel.rx_invalid_descs},
                                   {"xdp_tx_invalid_descs", kernel.tx_invalid_descs},
                                   {"xdp_rx_ring_full", kernel.rx_ring_full},
                                   {"xdp_rx_fill_ring_empty_descs", kernel.rx_fill_empty},
                                   {"xdp_tx_ring_empty_descs", kernel.tx_ring_empty},
                                   {"xdp_tx_copied", copied},
                                   {"xdp_tx_refused", refused}});
  if (keeper_) {
    const KeptMemory::Losses crashes = kept_memory_ != nullptr ? kept_memory_->losses(sockets_.size()) : losses_;
    handover::append_counters(counters, crashes);
  }
  if (!rule_counters_) return;
  for (const PlacedRule& rule : placed_rules(settings())) {
    counters.push_back({fmt::format("xdp_rule_{}", static_cast<std::uint64_t>(rule.id)),
                        rule_counters_->value(rule.slot.value_or(0))});
  }
  counters.push_back({"xdp_passed", rule_counters_->value(kPassedSlot)});
}

Result<Duration> XdpPort::service() {
  control_events_.clear();
  if (kept_memory_ != nullptr) keep();
  if (interface_.exists()) return ports::SoftwarePort::service();
  return fail(ErrorCode::device_removed,
              fmt::format("{}: the interface was deleted, or moved to another network namespace", info().name),
              "close the port and open it again");
}

}  // namespace pollux::xdp
