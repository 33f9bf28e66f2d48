// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "net/json/fields.hpp"
#include "net/json/setting_values.hpp"
#include "pollux/net/settings.hpp"

/// The tables of the members of settings. A structured binding names all members of a struct, so that one that is added
/// does not compile until it is in the table, or is left out on purpose.
namespace pollux::json {

template <class Fields>
void members(Fields& field, PauseModes& value) {
  auto& [receive, transmit] = value;
  field("receive", receive);
  field("transmit", transmit);
}

template <class Fields>
void members(Fields& field, FlowControlConfig& value) {
  auto& [pause, autonegotiate, pause_time, high_water, low_water] = value;
  field("pause", pause);
  field("autonegotiate", autonegotiate);
  field("pause_time", pause_time);
  field("high_water", high_water);
  field("low_water", low_water);
}

template <class Fields>
void members(Fields& field, LinkConfig& value) {
  auto& [advertised, forced] = value;
  field("advertised", advertised);
  field("forced", forced);
}

template <class Fields>
void members(Fields& field, VirtualFunctionConfig& value) {
  auto& [mac, vlan, qos, max_rate, spoof_check, trusted, enabled] = value;
  field("mac", mac);
  field("vlan", vlan);
  field("qos", qos);
  field("max_rate", max_rate);
  field("spoof_check", spoof_check);
  field("trusted", trusted);
  field("enabled", enabled);
}

template <class Fields>
void members(Fields& field, InterruptModeration& value) {
  auto& [interval, adaptive] = value;
  field("interval_ns", interval);
  field("adaptive", adaptive);
}

template <class Fields>
void members(Fields& field, WakeEvents& value) {
  auto& [magic, unicast, multicast, broadcast, link_change] = value;
  field("magic", magic);
  field("unicast", unicast);
  field("multicast", multicast);
  field("broadcast", broadcast);
  field("link_change", link_change);
}

template <class Fields>
void members(Fields& field, FrameStampsConfig& value) {
  auto& [receive, transmit] = value;
  field("receive", receive);
  field("transmit", transmit);
}

template <class Fields>
void members(Fields& field, RssConfig& value) {
  auto& [key, table, types, symmetric] = value;
  field("key", key);
  field("table", table);
  field("types", types);
  field("symmetric", symmetric);
}

template <class Fields>
void members(Fields& field, QueuePool& value) {
  auto& [addresses, vlans, untagged, broadcasts, queues] = value;
  field("addresses", addresses);
  field("vlans", vlans);
  field("untagged", untagged);
  field("broadcasts", broadcasts);
  field("queues", queues);
}

template <class Fields>
void members(Fields& field, QueuePoolsConfig& value) {
  auto& [pools, default_pool, replication, local_loopback] = value;
  field("pools", pools);
  field("default_pool", default_pool);
  field("replication", replication);
  field("local_loopback", local_loopback);
}

template <class Fields>
void members(Fields& field, PacketBuffers& value) {
  auto& [receive, transmit] = value;
  field("receive", receive);
  field("transmit", transmit);
}

template <class Fields>
void members(Fields& field, QueueThresholds& value) {
  auto& [prefetch, host, write_back] = value;
  field("prefetch", prefetch);
  field("host", host);
  field("write_back", write_back);
}

// A cache belongs to a thread, and ends with it.
template <class Fields>
void members(Fields& field, RxQueueConfig& value) {
  auto& [pool, cache, ring, copy_break, copy_pool, header_pool, drop_enable, thresholds] = value;
  field("pool", pool);
  field("ring", ring);
  field("copy_break", copy_break);
  field("copy_pool", copy_pool);
  field("header_pool", header_pool);
  field("drop_enable", drop_enable);
  field("thresholds", thresholds);
}

template <class Fields>
void members(Fields& field, TxQueueConfig& value) {
  auto& [cache, ring, thresholds] = value;
  field("ring", ring);
  field("thresholds", thresholds);
}

template <class Fields>
void members(Fields& field, Settings& value) {
  auto& [rx, tx, mtu, promiscuous, all_multicast, keep_fcs, keep_bad_frames, count_bytes, packet_buffers, tx_timeout,
         rx_timeout, burst_mode, mac, unicast, multicast, vlans, vlan_stripping, outer_vlan_type, rules, functions, rss,
         pools, tx_rates, pool_tx_rates, loopback, flow_control, link, phy_enabled, moderation, wake, led, stamps,
         clock_frequency] = value;
  field("rx", rx);
  field("tx", tx);
  field("mtu", mtu);
  field("promiscuous", promiscuous);
  field("all_multicast", all_multicast);
  field("keep_fcs", keep_fcs);
  field("keep_bad_frames", keep_bad_frames);
  field("count_bytes", count_bytes);
  field("packet_buffers", packet_buffers);
  field("tx_timeout_ns", tx_timeout);
  field("rx_timeout_ns", rx_timeout);
  field("burst_mode", burst_mode);
  field("mac", mac);
  field("unicast", unicast);
  field("multicast", multicast);
  field("vlans", vlans);
  field("vlan_stripping", vlan_stripping);
  field("outer_vlan_type", outer_vlan_type);
  field("rules", rules);
  field("functions", functions);
  field("rss", rss);
  field("pools", pools);
  field("tx_rates", tx_rates);
  field("pool_tx_rates", pool_tx_rates);
  field("loopback", loopback);
  field("flow_control", flow_control);
  field("link", link);
  field("phy_enabled", phy_enabled);
  field("moderation", moderation);
  field("wake", wake);
  field("led", led);
  field("stamps", stamps);
  field("clock_frequency", clock_frequency);
}

}  // namespace pollux::json
