// SPDX-License-Identifier: BSD-3-Clause
#include "observe/port_json.hpp"

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "net/json/setting_members.hpp"
#include "net/json/settings_json.hpp"
#include "net/stats.hpp"
#include "pollux/net/offload_limits.hpp"
#include "pollux/net/tx_queue.hpp"

namespace pollux::observe {
namespace {

/// The buckets up to the last one that is not zero.
template <std::size_t Buckets>
Json counts_of(const PowerHistogram<Buckets>& histogram) {
  std::size_t used = Buckets;
  while (used > 0 && histogram.count(used - 1) == 0) --used;
  Json counts = Json::array();
  for (std::size_t i = 0; i < used; ++i) counts.push_back(histogram.count(i));
  return counts;
}

Json rx_json(const RxMeter& meter) {
  const std::uint64_t frames = meter.busy_frames();
  Json json{{"bursts", meter.bursts()}, {"empty_polls", meter.empty_polls()}, {"frames", meter.frames()}};
  json["busy_cycles"] = meter.busy_cycles();
  json["busy_frames"] = frames;
  json["cycles_per_frame"] =
      frames == 0 ? Json(nullptr) : Json(static_cast<double>(meter.busy_cycles()) / static_cast<double>(frames));
  json["burst_sizes"] = counts_of(meter.burst_sizes());
  json["poll_interval_cycles"] = counts_of(meter.poll_intervals());
  return json;
}

Json tx_json(const TxMeter& meter) {
  return {{"bursts", meter.bursts()},
          {"frames", meter.frames()},
          {"refused", meter.refused()},
          {"burst_sizes", counts_of(meter.burst_sizes())}};
}

}  // namespace

Json meters_json(const PortMeters::Queues& meters, double cycles_per_second) {
  Json rx = Json::array();
  for (const RxMeter* const meter : meters.rx) rx.push_back(meter == nullptr ? Json(nullptr) : rx_json(*meter));
  Json tx = Json::array();
  for (const TxMeter* const meter : meters.tx) tx.push_back(meter == nullptr ? Json(nullptr) : tx_json(*meter));
  return {{"cycles_per_second", std::round(cycles_per_second)}, {"rx", std::move(rx)}, {"tx", std::move(tx)}};
}

namespace {

template <class T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json names_of(std::uint32_t flags, std::span<const std::pair<std::uint32_t, std::string_view>> names) {
  Json all = Json::array();
  for (const auto& [flag, name] : names) {
    if ((flags & flag) != 0) all.push_back(name);
  }
  return all;
}

using FlagName = std::pair<std::uint32_t, std::string_view>;

constexpr std::array kTxFlags{
    FlagName{TxOffload::ipv4_checksum, "ipv4_checksum"},
    FlagName{TxOffload::tcp_checksum, "tcp_checksum"},
    FlagName{TxOffload::udp_checksum, "udp_checksum"},
    FlagName{TxOffload::sctp_checksum, "sctp_checksum"},
    FlagName{TxOffload::tcp_segmentation, "tcp_segmentation"},
    FlagName{TxOffload::insert_vlan, "insert_vlan"},
    FlagName{TxOffload::timestamp, "timestamp"},
    FlagName{TxOffload::udp_segmentation, "udp_segmentation"},
    FlagName{TxOffload::insert_outer_vlan, "insert_outer_vlan"},
    FlagName{TxOffload::outer_ipv4_checksum, "outer_ipv4_checksum"},
    FlagName{TxOffload::outer_udp_checksum, "outer_udp_checksum"},
    FlagName{TxOffload::without_fcs, "without_fcs"},
};

using RxName = std::pair<RxOffload, std::string_view>;

constexpr std::array kRxFlags{
    RxName{RxOffload::ipv4_checksum, "ipv4_checksum"},
    RxName{RxOffload::tcp_checksum, "tcp_checksum"},
    RxName{RxOffload::udp_checksum, "udp_checksum"},
    RxName{RxOffload::sctp_checksum, "sctp_checksum"},
    RxName{RxOffload::partial_checksum, "partial_checksum"},
    RxName{RxOffload::rss_hash, "rss_hash"},
    RxName{RxOffload::packet_type, "packet_type"},
    RxName{RxOffload::vlan, "vlan"},
    RxName{RxOffload::timestamp, "timestamp"},
};

Json rx_names(const OffloadLimits& offloads) {
  Json all = Json::array();
  for (const auto& [flag, name] : kRxFlags) {
    if (offloads.reports(flag)) all.push_back(name);
  }
  return all;
}

Json counts_json(const QueueStats& stats, bool counts_bytes) {
  Json json{{"packets", stats.packets}, {"drops", stats.drops}};
  json["bytes"] = counts_bytes ? Json(stats.bytes) : Json(nullptr);
  return json;
}

}  // namespace

std::string_view name_of(Duplex duplex) noexcept { return duplex == Duplex::half ? "half" : "full"; }

Json link_json(const Link& link) {
  return {{"up", link.up},
          {"speed", link.speed},
          {"duplex", name_of(link.duplex)},
          {"autonegotiated", link.autonegotiated}};
}

Json details_json(const LinkDetails& details) {
  Json json{{"phy", details.phy}, {"phy_id", details.phy_id}};
  json["partner"] = nullptr;
  if (details.partner) {
    json["partner"] = {{"negotiates", details.partner->negotiates},
                       {"modes", json::Leaf<LinkModes>::write(details.partner->modes)},
                       {"pause", details.partner->pause},
                       {"asymmetric_pause", details.partner->asymmetric_pause}};
  }
  json["mdix"] = or_null(details.mdix);
  json["polarity_reversed"] = or_null(details.polarity_reversed);
  json["cable_metres"] = nullptr;
  if (details.cable) json["cable_metres"] = {{"min", details.cable->min}, {"max", details.cable->max}};
  return json;
}

Json setting_names(const SettingSet& settings) {
  Json names = Json::array();
  for (std::size_t i = 0; i < kSettings; ++i) {
    if (settings.test(Setting(i))) names.push_back(to_string(Setting(i)));
  }
  return names;
}

Json limits_json(const PortLimits& limits) {
  return {{"max_rx_queues", limits.max_rx_queues},
          {"max_tx_queues", limits.max_tx_queues},
          {"min_ring", limits.min_ring},
          {"max_ring", limits.max_ring},
          {"ring_multiple", limits.ring_multiple},
          {"min_mtu", limits.min_mtu},
          {"max_mtu", limits.max_mtu},
          {"min_frame", limits.min_frame},
          {"max_rx_segments", limits.max_rx_segments},
          {"max_rx_frame", limits.max_rx_frame},
          {"max_tx_segments", limits.max_tx_segments}};
}

Json stats_json(const Stats& stats) {
  Json json = Json::object();
  for (const Counter& counter : interface_counters(stats)) json[counter.name] = counter.value;
  Json& drops = json["drops"] = Json::object();
  for (const Counter& drop : stats.drops) drops[drop.name] = drop.value;
  return json;
}

// This thread may read the two positions of a ring at different moments, so that their difference is any number.
std::uint32_t in_flight_of(const TxQueue* queue, std::uint32_t ring) {
  return queue == nullptr ? 0 : std::min(queue->in_flight(), ring);
}

// Removed queues that counted something are among the statistics, but not in the configuration.
Json queues_json(const Stats& stats, const EffectiveConfig& config, Port& port) {
  const bool counts_bytes = port.settings().count_bytes;
  Json rx = Json::array();
  for (std::size_t i = 0; i < stats.rx_queues.size(); ++i) {
    Json queue = counts_json(stats.rx_queues[i], counts_bytes);
    queue["missed_at_least"] = stats.rx_queues[i].missed_at_least;
    queue["configured"] = i < config.rx.size();
    queue["stopped"] = i < config.rx.size() && config.rx[i].stopped;
    rx.push_back(std::move(queue));
  }
  Json tx = Json::array();
  for (std::size_t i = 0; i < stats.tx_queues.size(); ++i) {
    Json queue = counts_json(stats.tx_queues[i], counts_bytes);
    const bool is_configured = i < config.tx.size();
    queue["in_flight"] =
        is_configured ? in_flight_of(port.tx_queue(static_cast<std::uint16_t>(i)), config.tx[i].ring) : 0;
    queue["configured"] = is_configured;
    queue["stopped"] = is_configured && config.tx[i].stopped;
    tx.push_back(std::move(queue));
  }
  return {{"rx", std::move(rx)}, {"tx", std::move(tx)}};
}

Json offloads_json(const OffloadLimits& offloads) {
  return {{"tx", names_of(offloads.tx_flags, kTxFlags)},
          {"tx_software", names_of(offloads.tx_software_flags, kTxFlags)},
          {"rx", rx_names(offloads)},
          {"max_tso", offloads.max_tso},
          {"max_segments", offloads.max_segments},
          {"max_tso_headers", offloads.max_tso_headers},
          {"max_datagrams", offloads.max_datagrams},
          {"max_tcp_segments", offloads.max_tcp_segments},
          {"segments_tunnels", offloads.segments_tunnels}};
}

Json rss_json(RssConfig config, std::uint32_t table_size) {
  Json json = json::FieldWriter::write(config);
  json["table_size"] = table_size;
  return json;
}

Json flow_control_json(FlowControlState state) {
  Json json = json::FieldWriter::write(state.config);
  json["active"] = json::FieldWriter::write(state.active);
  json["packet_buffer"] = state.packet_buffer;
  return json;
}

Json pool_json(const Mempool& pool) {
  const MempoolStats stats = pool.stats();
  const MempoolOptions& options = pool.options();
  return {{"name", options.name},
          {"count", stats.count},
          {"data_room", options.data_room},
          {"headroom", options.headroom},
          {"shared", stats.shared},
          {"cached", stats.cached},
          {"in_use", stats.in_use()},
          {"allocation_failures", stats.allocation_failures},
          {"unnamed_drops", stats.unnamed_drops},
          {"ports", Json::array()}};
}

std::string settings_tag(const Settings& settings) {
  const std::string text = json::settings_json(settings).dump(
      -1, ' ', false, Json::error_handler_t::replace);  // names of pools may be no UTF-8
  return fmt::format("{:016x}", std::hash<std::string>()(text));
}

}  // namespace pollux::observe
