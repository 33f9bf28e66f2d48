// SPDX-License-Identifier: BSD-3-Clause
// What each setting of the port governs.
#include <algorithm>
#include <string>
#include <tuple>
#include <vector>

#include <fmt/format.h>

#include "base/shell_words.hpp"
#include "ports/xdp/port.hpp"

namespace pollux::xdp {

void XdpPort::add_initial(Settings& settings) const {
  for (const FlowRule& rule : first_rules_) add_rule(settings, rule);
}

Result<void> XdpPort::check(const PlacedSettings& from, PlacedSettings& to) {
  const bool is_first = from.queues.rx_queues() == 0;  // those of the URI
  if (from.rules == to.rules && !is_first) return {};
  std::vector<PlacedRule> rules = placed_rules(to);
  for (const PlacedRule& placed : rules) {
    if (auto fits = check_rule_code(placed.rule, interface_.queues(), info().name); !fits) return fits;
  }
  if (rules.size() > kMaxRules) {
    return fail(ErrorCode::busy, fmt::format("{}: an interface has at most {} flow rules", info().name, kMaxRules),
                "remove a rule, or use SoftwareClassifier");
  }
  for (PlacedRule& placed : rules) {
    for (std::uint32_t slot = 0; !placed.slot; ++slot) {
      if (std::ranges::find(rules, std::optional(slot), &PlacedRule::slot) == rules.end()) placed.slot = slot;
    }
  }
  keep_slots(to, rules);
  const std::string route = force_ ? std::string() : kernel_->route_at_risk(rules);
  if (route.empty()) return {};
  return fail(ErrorCode::invalid_argument,
              fmt::format("{}: the default route goes over {}, and the rules take more than frames which this host can "
                          "do without: it would lose its connections",
                          info().name, route),
              fmt::format("take less, such as xdp:{}?rule=udp:53, or say that it is meant: '{}{}force'",
                          interface_.name(), info().name, info().name.find('?') == std::string::npos ? '?' : ','));
}

Result<void> XdpPort::change_mtu(std::uint32_t bytes) {
  const auto mtu = interface_.mtu();
  if (!mtu) return tl::unexpected<Error>(mtu.error());
  if (*mtu >= bytes) return {};
  return fail(ErrorCode::invalid_argument,
              fmt::format("{}: mtu = {}, but that of the interface is {}", info().name, bytes, *mtu),
              fmt::format("use a smaller mtu, such as {}; or as root: ip link set {} mtu {}",
                          shell_quoted(fmt::format("{}{}set.mtu={}", info().name,
                                                   info().name.find('?') == std::string::npos ? '?' : ',', *mtu)),
                          shell_quoted(interface_.name()), bytes));
}

Result<void> XdpPort::change_filter(const PlacedSettings* from, const PlacedSettings& to) {
  if (from != nullptr && socket_map_ && from->rules != to.rules) {
    const std::vector<PlacedRule> rules = placed_rules(to);
    rule_counters_->assign(rules);
    // A successor of a program that ends in between does not know which rules are in force.
    if (kept_memory_ != nullptr) kept_memory_->file().write_record({});
    auto replaced = kernel_->replace(rules);
    if (kept_memory_ != nullptr) record_kept(replaced ? to : *from);
    if (!replaced) return replaced;
  }
  const auto what = [this](const Settings& all) { return std::tuple(mac_of(all), all.promiscuous, all.all_multicast); };
  if (from != nullptr && what(*from) == what(to)) return {};
  return kernel_->join(mac_of(to), to.promiscuous, to.all_multicast);
}

}  // namespace pollux::xdp
