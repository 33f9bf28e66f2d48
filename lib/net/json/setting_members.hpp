// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "net/json/fields.hpp"
#include "net/json/setting_values.hpp"
#include "pollux/net/settings.hpp"

/// The tables of the members of settings. A structured binding names all members of a struct, so that one that is added
/// does not compile until it is in the table, or is left out on purpose. A value has a line for users; `none` in it is
/// JSON's null. Groups of values have none.
namespace pollux::json {

template <class Fields>
void members(Fields& field, PauseModes& value) {
  auto& [receive, transmit] = value;
  field("receive", receive, "stop sending when the link partner asks for a pause");
  field("transmit", transmit, "ask for a pause when the packet buffer fills up");
}

template <class Fields>
void members(Fields& field, FlowControlConfig& value) {
  auto& [pause, autonegotiate, pause_time, high_water, low_water] = value;
  field("pause", pause);
  field("autonegotiate", autonegotiate, "agree on pause frames with the link partner");
  field("pause_time", pause_time, "of a pause frame, in units of 512 bit times");
  field("high_water", high_water, "bytes in the packet buffer from which a pause is asked for; 0: by its size");
  field("low_water", low_water, "bytes at which the pause ends; 0: by the size of the buffer");
}

template <class Fields>
void members(Fields& field, LinkConfig& value) {
  auto& [advertised, forced] = value;
  field("advertised", advertised, "modes offered to the link partner");
  field("forced", forced, "the mode without negotiation; none: negotiate");
}

template <class Fields>
void members(Fields& field, VirtualFunctionConfig& value) {
  auto& [mac, vlan, qos, max_rate, spoof_check, trusted, enabled] = value;
  field("mac", mac, "the function's address; none: it chooses one itself");
  field("vlan", vlan, "the VLAN that it is in; 0: none");
  field("qos", qos, "priority of the inserted tag, 0 to 7");
  field("max_rate", max_rate, "Mb/s that it may send; 0: no limit");
  field("spoof_check", spoof_check, "drop what it sends under another address");
  field("trusted", trusted, "it may replace its address");
  field("enabled", enabled, "it receives and sends");
}

template <class Fields>
void members(Fields& field, InterruptModeration& value) {
  auto& [interval, adaptive] = value;
  field("interval_ns", interval,
        "shortest time between two interrupts of a vector, in whole microseconds; 0: no limit");
  field("adaptive", adaptive, "the port chooses the interval, up to this one");
}

template <class Fields>
void members(Fields& field, WakeEvents& value) {
  auto& [magic, unicast, multicast, broadcast, link_change] = value;
  field("magic", magic, "a magic packet with the port's address");
  field("unicast", unicast, "a frame to the port's address");
  field("multicast", multicast, "any multicast frame");
  field("broadcast", broadcast, "any broadcast frame");
  field("link_change", link_change, "the link comes up");
}

template <class Fields>
void members(Fields& field, FrameStampsConfig& value) {
  auto& [receive, transmit] = value;
  field("receive", receive, "messages of PTP that are stamped when they arrive");
  field("transmit", transmit, "stamp sent frames that request it");
}

template <class Fields>
void members(Fields& field, RssConfig& value) {
  auto& [key, table, types, symmetric] = value;
  field("key", key, "of the Toeplitz hash");
  field("table", table, "the queue of each hash; empty: all queues in turn");
  field("types", types, "packets that are hashed");
  field("symmetric", symmetric, "require that both directions of a flow have one hash");
}

template <class Fields>
void members(Fields& field, QueuePool& value) {
  auto& [addresses, vlans, untagged, broadcasts, queues] = value;
  field("addresses", addresses, "frames to these go to the pool");
  field("vlans", vlans, "of tagged frames only those of these VLANs, 1 to 4094");
  field("untagged", untagged, "frames without a tag");
  field("broadcasts", broadcasts, "broadcasts besides what is sent to its addresses");
  field("queues", queues, "receive queues of the pool, 1 or 2");
}

template <class Fields>
void members(Fields& field, QueuePoolsConfig& value) {
  auto& [pools, default_pool, replication, local_loopback] = value;
  field("pools", pools);
  field("default_pool", default_pool, "the pool of the port's own address; none: no pool");
  field("replication", replication, "each pool that wants a group's frame gets a copy");
  field("local_loopback", local_loopback, "frames from one pool to another stay on the card");
}

template <class Fields>
void members(Fields& field, PacketBuffers& value) {
  auto& [receive, transmit] = value;
  field("receive", receive, "bytes of the card's receive buffer, from the next start on; 0: as it is");
  field("transmit", transmit, "bytes of its transmit buffer; 0: as it is");
}

template <class Fields>
void members(Fields& field, QueueThresholds& value) {
  auto& [prefetch, host, write_back] = value;
  field("prefetch", prefetch, "descriptors: the card fetches more below this number");
  field("host", host, "but only if so many are in the ring");
  field("write_back", write_back, "done descriptors are written back in groups of this size");
}

// A cache belongs to a thread, and ends with it.
template <class Fields>
void members(Fields& field, RxQueueConfig& value) {
  auto& [pool, cache, ring, copy_break, copy_pool, header_pool, drop_enable, thresholds] = value;
  field("pool", pool, "one of the port's pools or any of the program; none: the port's own");
  field("ring", ring, "descriptors, within the port's limits; 0: its default");
  field("copy_break", copy_break, "bytes: shorter frames are copied to other mbufs; 0: none");
  field("copy_pool", copy_pool, "the pool of the copies; none: that of the queue");
  field("header_pool", header_pool, "the pool of headers that the card splits off; none: no split");
  field("drop_enable", drop_enable,
        "drop frames without a descriptor instead of holding up others; none: the port's choice");
  field("thresholds", thresholds);
}

template <class Fields>
void members(Fields& field, TxQueueConfig& value) {
  auto& [cache, ring, thresholds] = value;
  field("ring", ring, "as of a receive queue");
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
  field("mtu", mtu, "bytes of an Ethernet payload, within the port's limits");
  field("promiscuous", promiscuous, "receive frames for any destination");
  field("all_multicast", all_multicast, "receive every multicast frame");
  field("keep_fcs", keep_fcs, "keep the frame check sequence at the end of received frames");
  field("keep_bad_frames", keep_bad_frames, "receive bad frames, too");
  field("count_bytes", count_bytes, "count the bytes of each queue");
  field("packet_buffers", packet_buffers);
  field("tx_timeout_ns", tx_timeout,
        "time without a sent frame after which the port is reset, 100 ms or more; 0: never");
  field("rx_timeout_ns", rx_timeout,
        "time without a received frame that the card counted, after which it is reported; 0: never");
  field("burst_mode", burst_mode, "the instructions that bursts use");
  field("mac", mac, "the port's own address; none: the card's");
  field("unicast", unicast, "received besides the port's own address");
  field("multicast", multicast, "received groups");
  field("vlans", vlans, "received VLANs; none: all");
  field("vlan_stripping", vlan_stripping, "the card strips the tags of received frames");
  field("outer_vlan_type", outer_vlan_type,
        "EtherType of outer tags, such as 34984 (0x88A8); none: frames have one tag at most");
  field("rules", rules, "flow rules by ids of your choice");
  field("functions", functions);
  field("rss", rss);
  field("pools", pools);
  field("tx_rates", tx_rates, "Mb/s that a transmit queue may send; 0: no limit");
  field("pool_tx_rates", pool_tx_rates, "Mb/s that a pool may send; 0: no limit");
  field("loopback", loopback, "sent frames come back, from the next start on");
  field("flow_control", flow_control);
  field("link", link);
  field("phy_enabled", phy_enabled, "the PHY runs");
  field("moderation", moderation);
  field("wake", wake);
  field("led", led, "what the port's light shows");
  field("stamps", stamps);
  field("clock_frequency", clock_frequency, "parts per billion that the clock is made faster; none: it does not run");
}

}  // namespace pollux::json
