// SPDX-License-Identifier: BSD-3-Clause
// Receive-side scaling: ethtool -x and -X, and the rx-flow-hash of -n and -N.
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "hex.hpp"
#include "verbs.hpp"

namespace pollux::ethtool {
namespace {

/// Hash functions by the kernel's bits; cards use Toeplitz's.
constexpr std::uint8_t kToeplitz = 1;

struct Setting {
  std::vector<std::uint32_t> table;
  std::vector<std::uint8_t> key;
};

int setting_of(Port& port, Setting& setting) {
  Json rss;
  if (const int error = port.ask("port.rss", rss)) return error;
  if (const Json& table = member(rss, "table"); table.is_array()) {
    for (const Json& queue : table) setting.table.push_back(static_cast<std::uint32_t>(number(queue)));
  }
  auto key = bytes_of(text(rss, "key"));
  if (!key) return EIO;
  setting.key = *std::move(key);
  return 0;
}

int receive_rings(Port& port, void* data) {
  Json settings;
  if (const int error = port.settings(settings)) return error;
  static_cast<ethtool_rxnfc*>(data)->data = member(settings, "rx").size();
  return 0;
}

// The first request asks for the sizes: it has room for nothing.
int hashing(Port& port, void* data) {
  auto& request = *static_cast<ethtool_rxfh*>(data);
  if (request.rss_context != 0) return EOPNOTSUPP;
  Setting setting;
  if (const int error = setting_of(port, setting)) return error;
  const auto entries = static_cast<std::uint32_t>(setting.table.size());
  const auto key_bytes = static_cast<std::uint32_t>(setting.key.size());
  if (entries == 0 && key_bytes == 0) return EOPNOTSUPP;  // else the second request would look like the first
  const bool has_room = request.indir_size == entries && request.key_size == key_bytes;
  const bool asks_sizes = request.indir_size == 0 && request.key_size == 0;
  if (!has_room && !asks_sizes) return EINVAL;
  request.indir_size = entries;
  request.key_size = key_bytes;
  request.hfunc = kToeplitz;
  if (!has_room) return 0;
  std::memcpy(request.rss_config, setting.table.data(), entries * sizeof setting.table[0]);
  std::memcpy(request.rss_config + entries, setting.key.data(), key_bytes);
  return 0;
}

// A table of size zero means the default: the queues in turn, which an empty table is for Pollux.
int set_hashing(Port& port, void* data) {
  const auto& wanted = *static_cast<const ethtool_rxfh*>(data);
  if (wanted.rss_context != 0 || (wanted.hfunc != 0 && wanted.hfunc != kToeplitz)) {
    explain(port.name() + " has one table and the function toeplitz", "leave out context and hfunc");
    return EOPNOTSUPP;
  }
  Json params = Json::object();
  std::uint32_t entries = 0;
  if (wanted.indir_size != ETH_RXFH_INDIR_NO_CHANGE) {
    entries = wanted.indir_size;
    params["table"] = Json::array();
    for (std::uint32_t i = 0; i < entries; ++i) params["table"].push_back(wanted.rss_config[i]);
  }
  // NOLINTNEXTLINE(*-reinterpret-cast): the bytes after the table
  const auto* const key = reinterpret_cast<const std::uint8_t*>(wanted.rss_config + entries);
  if (wanted.key_size != 0) params["key"] = hex_of({key, wanted.key_size});
  return port.set({{"rss", params}});
}

/// The types of docs/telemetry.md that hash a kind of flow.
struct FlowTypes {
  std::uint32_t flow = 0;
  const char* with_ports = nullptr;  ///< null: this kind has no type with ports
  const char* addresses = nullptr;
};
constexpr std::array kFlowTypes{FlowTypes{TCP_V4_FLOW, "tcp_ipv4", "ipv4"}, FlowTypes{UDP_V4_FLOW, "udp_ipv4", "ipv4"},
                                FlowTypes{TCP_V6_FLOW, "tcp_ipv6", "ipv6"}, FlowTypes{UDP_V6_FLOW, "udp_ipv6", "ipv6"},
                                FlowTypes{SCTP_V4_FLOW, nullptr, "ipv4"},   FlowTypes{SCTP_V6_FLOW, nullptr, "ipv6"},
                                FlowTypes{AH_ESP_V4_FLOW, nullptr, "ipv4"}, FlowTypes{AH_ESP_V6_FLOW, nullptr, "ipv6"},
                                FlowTypes{IPV4_FLOW, nullptr, "ipv4"},      FlowTypes{IPV6_FLOW, nullptr, "ipv6"}};
constexpr std::uint64_t kAddresses = RXH_IP_SRC | RXH_IP_DST;
constexpr std::uint64_t kPorts = RXH_L4_B_0_1 | RXH_L4_B_2_3;

const FlowTypes* types_of(std::uint32_t flow) {
  for (const FlowTypes& types : kFlowTypes) {
    if (types.flow == flow) return &types;
  }
  return nullptr;
}

int flow_fields(Port& port, void* data) {
  auto& request = *static_cast<ethtool_rxnfc*>(data);
  const FlowTypes* const types = types_of(request.flow_type);
  if (types == nullptr) return EINVAL;
  Json rss;
  if (const int error = port.ask("port.rss", rss)) return error;
  const Json& enabled = member(rss, "types");
  request.data = 0;
  if (contains(enabled, types->addresses)) request.data = kAddresses;
  if (types->with_ports != nullptr && contains(enabled, types->with_ports)) request.data = kAddresses | kPorts;
  return 0;
}

/// The enabled types with those of a kind of flow switched: addresses alone are hashed by the type of their own.
Json with_fields(const Json& enabled, const FlowTypes& flow, bool has_ports) {
  Json types = Json::array();
  for (const Json& one : enabled) {
    if (has_ports || flow.with_ports == nullptr || one != flow.with_ports) types.push_back(one);
  }
  const char* const needed = has_ports ? flow.with_ports : flow.addresses;
  if (!contains(types, needed)) types.push_back(needed);
  return types;
}

int set_flow_fields(Port& port, void* data) {
  const auto& wanted = *static_cast<const ethtool_rxnfc*>(data);
  const FlowTypes* const types = types_of(wanted.flow_type);
  const bool has_ports = wanted.data == (kAddresses | kPorts);
  if (types == nullptr || (!has_ports && wanted.data != kAddresses) || (has_ports && types->with_ports == nullptr)) {
    explain("cards hash both addresses (sd), and for TCP and UDP both ports, too (sdfn)");
    return EINVAL;
  }
  Json rss;
  if (const int error = port.ask("port.rss", rss)) return error;
  const Json& enabled = member(rss, "types");
  if (!enabled.is_array()) return EIO;
  const Json changed = with_fields(enabled, *types, has_ports);
  return changed == enabled ? 0 : port.set({{"rss", {{"types", changed}}}});
}

constexpr std::array kRssVerbs{
    Verb{ETHTOOL_GRXRINGS, receive_rings}, Verb{ETHTOOL_GRSSH, hashing},         Verb{ETHTOOL_SRSSH, set_hashing},
    Verb{ETHTOOL_GRXFH, flow_fields},      Verb{ETHTOOL_SRXFH, set_flow_fields},
};

}  // namespace

std::vector<std::string> hash_names() { return {"toeplitz", "xor", "crc32"}; }

std::span<const Verb> rss_verbs() { return kRssVerbs; }

}  // namespace pollux::ethtool
