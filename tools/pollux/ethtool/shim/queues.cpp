// SPDX-License-Identifier: BSD-3-Clause
// The queues: ethtool -g and -G, -l and -L, -c and -C.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string>

#include "verbs.hpp"

namespace pollux::ethtool {
namespace {

constexpr std::uint64_t kNanoseconds = 1000;  // of a microsecond

std::uint32_t number32(const Json& json, const char* name) { return static_cast<std::uint32_t>(number(json, name)); }

/// Rings may differ by queue; ethtool has one number, so it is the largest.
std::uint32_t largest_ring(const Json& queues) {
  std::uint32_t largest = 0;
  for (std::size_t i = 0; queues.is_array() && i < queues.size(); ++i)
    largest = std::max(largest, number32(queues[i], "ring"));
  return largest;
}

int limits_and_config(Port& port, Json& limits, Json& config) {
  Json info;
  if (const int error = port.ask("port.info", info)) return error;
  limits = member(info, "limits");
  return port.settings(config);
}

int rings(Port& port, void* data) {
  Json limits;
  Json config;
  if (const int error = limits_and_config(port, limits, config)) return error;
  // Ports without rings of descriptors, such as tap:, have no such limit.
  if (number(limits, "max_ring") == 0) return EOPNOTSUPP;
  auto& answer = *static_cast<ethtool_ringparam*>(data);
  answer = {};
  answer.cmd = ETHTOOL_GRINGPARAM;
  answer.rx_max_pending = answer.tx_max_pending = number32(limits, "max_ring");
  answer.rx_pending = largest_ring(member(config, "rx"));
  answer.tx_pending = largest_ring(member(config, "tx"));
  return 0;
}

/// A change of the rings of those queues that have another size, so that no other loses frames.
Json resized(const Json& queues, std::uint32_t descriptors) {
  Json patch = Json::object();
  for (std::size_t i = 0; queues.is_array() && i < queues.size(); ++i) {
    if (number32(queues[i], "ring") != descriptors) patch[std::to_string(i)] = {{"ring", descriptors}};
  }
  return patch;
}

// ethtool sends back what `rings` reported for a direction that the user does not name. Such a direction is left out:
// it may have no queue, or queues of different sizes.
int set_rings(Port& port, void* data) {
  const auto& wanted = *static_cast<const ethtool_ringparam*>(data);
  if (wanted.rx_mini_pending != 0 || wanted.rx_jumbo_pending != 0) return EINVAL;
  ethtool_ringparam reported{};
  if (const int error = rings(port, &reported)) return error;
  Json config;
  if (const int error = port.settings(config)) return error;
  Json patch = Json::object();
  if (wanted.rx_pending != reported.rx_pending) patch["rx"] = resized(member(config, "rx"), wanted.rx_pending);
  if (wanted.tx_pending != reported.tx_pending) patch["tx"] = resized(member(config, "tx"), wanted.tx_pending);
  return patch.empty() ? 0 : port.set(std::move(patch));
}

int channels(Port& port, void* data) {
  Json limits;
  Json config;
  if (const int error = limits_and_config(port, limits, config)) return error;
  Json interrupts;
  const bool has_interrupts = port.ask("port.interrupts", interrupts) == 0;
  auto& answer = *static_cast<ethtool_channels*>(data);
  answer = {};
  answer.cmd = ETHTOOL_GCHANNELS;
  answer.max_rx = number32(limits, "max_rx_queues");
  answer.max_tx = number32(limits, "max_tx_queues");
  answer.rx_count = static_cast<std::uint32_t>(member(config, "rx").size());
  answer.tx_count = static_cast<std::uint32_t>(member(config, "tx").size());
  // Vector 0 belongs to no queue: it reports changes of the link.
  answer.max_other = answer.other_count = has_interrupts ? 1 : 0;
  return 0;
}

// The threads of the program poll the queues that it configured.
int set_channels(Port& port, void* /*data*/) {
  explain(port.name() + ": the program chose the number of queues",
          "start it with another one, such as l2fwd --queues 4");
  return EOPNOTSUPP;
}

int coalescing(Port& port, void* data) {
  Json interrupts;
  if (const int error = port.ask("port.interrupts", interrupts)) return error;
  const Json& queues = member(interrupts, "rx");
  if (!queues.is_array() || queues.empty()) return EOPNOTSUPP;
  Json settings;
  if (const int error = port.settings(settings)) return error;
  const Json& first = member(member(settings, "moderation"), "0");
  auto& answer = *static_cast<ethtool_coalesce*>(data);
  answer = {};
  answer.cmd = ETHTOOL_GCOALESCE;
  answer.rx_coalesce_usecs = static_cast<std::uint32_t>(number(first, "interval_ns") / kNanoseconds);
  answer.use_adaptive_rx_coalesce = flag(first, "adaptive") ? 1 : 0;
  return 0;
}

/// Whether nothing is set but the interval of receive queues and its adaptation.
bool sets_only_receive(ethtool_coalesce wanted) {
  wanted.cmd = wanted.rx_coalesce_usecs = wanted.use_adaptive_rx_coalesce = 0;
  std::array<std::uint32_t, sizeof wanted / sizeof(std::uint32_t)> words{};
  static_assert(sizeof words == sizeof wanted);
  std::memcpy(words.data(), &wanted, sizeof wanted);
  return std::ranges::all_of(words, [](std::uint32_t word) { return word == 0; });
}

int set_coalescing(Port& port, void* data) {
  const auto& wanted = *static_cast<const ethtool_coalesce*>(data);
  if (!sets_only_receive(wanted)) {
    explain(port.name() + " has interrupts of receive queues only", "set rx-usecs and adaptive-rx");
    return EOPNOTSUPP;
  }
  Json interrupts;
  if (const int error = port.ask("port.interrupts", interrupts)) return error;
  const std::size_t count = member(interrupts, "rx").size();
  Json moderation = Json::object();
  for (std::size_t queue = 0; queue < count; ++queue) {
    moderation[std::to_string(queue)] = {{"interval_ns", kNanoseconds * wanted.rx_coalesce_usecs},
                                         {"adaptive", wanted.use_adaptive_rx_coalesce != 0}};
  }
  return port.set({{"moderation", moderation}});
}

constexpr std::array kQueueVerbs{
    Verb{ETHTOOL_GRINGPARAM, rings},       Verb{ETHTOOL_SRINGPARAM, set_rings}, Verb{ETHTOOL_GCHANNELS, channels},
    Verb{ETHTOOL_SCHANNELS, set_channels}, Verb{ETHTOOL_GCOALESCE, coalescing}, Verb{ETHTOOL_SCOALESCE, set_coalescing},
};

}  // namespace

std::span<const Verb> queue_verbs() { return kQueueVerbs; }

}  // namespace pollux::ethtool
