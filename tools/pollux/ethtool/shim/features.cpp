// SPDX-License-Identifier: BSD-3-Clause
// What the port computes for the program: ethtool -k and -K. Names are those of the kernel (net/ethtool/common.c,
// netdev_features_strings); features of the kernel's own stack have no place here.
#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>

#include "verbs.hpp"

namespace pollux::ethtool {
namespace {

/// What is known about the port's features.
struct State {
  Json offloads;
  Json settings;
  Json rss;
  Json info;
};

using IsActive = bool(const State& state);

struct Feature {
  std::string_view name;
  IsActive* active = nullptr;  ///< null: no port has it
  bool changes = false;        ///< -K can set it
};

bool sends_ipv4_sums(const State& state) {
  const Json& flags = member(state.offloads, "tx");
  return contains(flags, "tcp_checksum") && contains(flags, "udp_checksum");
}
bool sends_sctp_sums(const State& state) { return contains(member(state.offloads, "tx"), "sctp_checksum"); }
bool segments_tcp(const State& state) { return contains(member(state.offloads, "tx"), "tcp_segmentation"); }
bool segments_udp(const State& state) { return contains(member(state.offloads, "tx"), "udp_segmentation"); }
bool segments_tunnels(const State& state) { return flag(state.offloads, "segments_tunnels"); }
bool inserts_vlan(const State& state) { return contains(member(state.offloads, "tx"), "insert_vlan"); }
bool checks_sums(const State& state) {
  const Json& flags = member(state.offloads, "rx");
  return contains(flags, "tcp_checksum") || contains(flags, "udp_checksum");
}
bool gathers(const State& state) { return number(member(state.info, "limits"), "max_tx_segments") > 1; }
bool hashes(const State& state) {
  const Json& types = member(state.rss, "types");
  return types.is_array() && !types.empty();
}
bool strips_vlan(const State& state) { return flag(state.settings, "vlan_stripping"); }
bool filters_flows(const State& state) { return contains(member(state.info, "settings"), "rules"); }
bool keeps_fcs(const State& state) { return flag(state.settings, "keep_fcs"); }
bool keeps_bad_frames(const State& state) { return flag(state.settings, "keep_bad_frames"); }

constexpr std::array kFeatures{
    Feature{"tx-scatter-gather", gathers},
    Feature{"tx-checksum-ip-generic", sends_ipv4_sums},
    Feature{"tx-checksum-sctp", sends_sctp_sums},
    Feature{"tx-vlan-hw-insert", inserts_vlan},
    Feature{"rx-vlan-hw-parse", strips_vlan, true},
    Feature{"rx-lro"},
    Feature{"tx-tcp-segmentation", segments_tcp},
    Feature{"tx-tcp6-segmentation", segments_tcp},
    Feature{"tx-gre-segmentation", segments_tunnels},
    Feature{"tx-ipxip4-segmentation", segments_tunnels},
    Feature{"tx-ipxip6-segmentation", segments_tunnels},
    Feature{"tx-udp_tnl-segmentation", segments_tunnels},
    Feature{"tx-udp-segmentation", segments_udp},
    Feature{"rx-ntuple-filter", filters_flows},
    Feature{"rx-hashing", hashes},
    Feature{"rx-checksum", checks_sums},
    Feature{"rx-fcs", keeps_fcs},
    Feature{"rx-all", keeps_bad_frames},
};
static_assert(kFeatures.size() <= 32, "a set of features is one word");

int state_of(Port& port, State& state) {
  if (const int error = port.ask("port.info", state.info)) return error;
  if (const int error = port.ask("port.offloads", state.offloads)) return error;
  if (const int error = port.settings(state.settings)) return error;
  const int error = port.ask("port.rss", state.rss);
  return error == EOPNOTSUPP ? 0 : error;
}

bool can_change(const State& state, const Feature& feature) {
  return feature.changes && contains(member(state.info, "settings"), "vlan_stripping");
}

int features(Port& port, void* data) {
  State state;
  if (const int error = state_of(port, state)) return error;
  auto& answer = *static_cast<ethtool_gfeatures*>(data);
  if (answer.size == 0) return 0;
  answer.size = 1;
  auto& block = answer.features[0];
  block = {};
  for (std::size_t i = 0; i < kFeatures.size(); ++i) {
    const std::uint32_t bit = std::uint32_t{1} << i;
    const Feature& feature = kFeatures[i];
    const bool active = feature.active != nullptr && feature.active(state);
    if (active) block.active |= bit;
    if (can_change(state, feature)) {
      block.available |= bit;
      if (active) block.requested |= bit;
    } else {
      block.never_changed |= bit;
    }
  }
  return 0;
}

int set_features(Port& port, void* data) {
  const auto& wanted = *static_cast<const ethtool_sfeatures*>(data);
  if (wanted.size == 0) return EINVAL;
  for (std::size_t i = 0; i < kFeatures.size(); ++i) {
    const std::uint32_t bit = std::uint32_t{1} << i;
    if ((wanted.features[0].valid & bit) == 0) continue;
    if (!kFeatures[i].changes) {
      explain(std::string(kFeatures[i].name) + " of " + port.name() + " cannot be changed while its program runs");
      continue;
    }
    const int error = port.set({{"vlan_stripping", (wanted.features[0].requested & bit) != 0}});
    if (error != 0) return error;
  }
  return 0;
}

/// A request of before the features had names, for the sum of some of them.
template <IsActive* kActive>
int one_feature(Port& port, void* data) {
  State state;
  if (const int error = state_of(port, state)) return error;
  static_cast<ethtool_value*>(data)->data = kActive(state) ? 1 : 0;
  return 0;
}

bool is_never(const State& /*state*/) { return false; }

int flags(Port& port, void* data) {
  State state;
  if (const int error = state_of(port, state)) return error;
  std::uint32_t all = 0;
  if (strips_vlan(state)) all |= ETH_FLAG_RXVLAN;
  if (inserts_vlan(state)) all |= ETH_FLAG_TXVLAN;
  if (filters_flows(state)) all |= ETH_FLAG_NTUPLE;
  if (hashes(state)) all |= ETH_FLAG_RXHASH;
  static_cast<ethtool_value*>(data)->data = all;
  return 0;
}

constexpr std::array kFeatureVerbs{
    Verb{ETHTOOL_GFEATURES, features},
    Verb{ETHTOOL_SFEATURES, set_features},
    Verb{ETHTOOL_GFLAGS, flags},
    Verb{ETHTOOL_GRXCSUM, one_feature<checks_sums>},
    Verb{ETHTOOL_GTXCSUM, one_feature<sends_ipv4_sums>},
    Verb{ETHTOOL_GSG, one_feature<gathers>},
    Verb{ETHTOOL_GTSO, one_feature<segments_tcp>},
    Verb{ETHTOOL_GGSO, one_feature<is_never>},
    Verb{ETHTOOL_GGRO, one_feature<is_never>},
};

}  // namespace

std::vector<std::string> feature_names() {
  std::vector<std::string> names;
  for (const Feature& feature : kFeatures) names.emplace_back(feature.name);
  return names;
}

std::span<const Verb> feature_verbs() { return kFeatureVerbs; }

}  // namespace pollux::ethtool
