// SPDX-License-Identifier: BSD-3-Clause
// The port's settings: which are refused, and how they reach the device.
#include <algorithm>
#include <bit>

#include <fmt/format.h>

#include "drivers/vmware/vmxnet3/port.hpp"
#include "net/frame_size.hpp"
#include "net/settings_check.hpp"

namespace pollux::drivers::vmxnet3 {

SettingSet supported_settings() noexcept {
  SettingSet settings = kCommonSettings;
  for (const Setting setting : {Setting::multicast, Setting::vlans, Setting::vlan_stripping, Setting::rss})
    settings.insert(setting);
  return settings;
}

// The numbers of queues follow Linux, vmxnet3_drv.c, vmxnet3_probe_device.
Result<void> Vmxnet3Port::check(const PlacedSettings& from, PlacedSettings& to) {
  for (const std::uint16_t count : {to.queues.rx_queues(), to.queues.tx_queues()}) {
    if (std::has_single_bit(count) || count == 0) continue;
    return refuse(ErrorCode::invalid_argument,
                  fmt::format("{} queues: revision 1 of the device has powers of two alone", count),
                  fmt::format("configure {} or {}", std::bit_floor(count), std::bit_ceil(count)));
  }
  for (std::size_t index = 0; index < to.queues.rx.size(); ++index) {
    const std::uint32_t buffer = to.queues.rx[index].buffer_bytes;
    if (buffer < reg::rx::kMinHead) {
      return refuse(ErrorCode::invalid_argument, fmt::format("buffers of {} bytes are too small", buffer),
                    fmt::format("use a pool with a data_room of at least {}", reg::rx::kMinHead));
    }
    if (running() && to.mtu != from.mtu && frame_bytes(to.mtu) > buffer && !rx_[index].several()) {
      return refuse(ErrorCode::bad_state,
                    fmt::format("a frame of {} bytes needs several buffers, which the device has from a start on",
                                frame_bytes(to.mtu)),
                    "stop the port first, or use a pool with a larger data_room");
    }
  }
  if (running() && from.rss != to.rss) {
    const RssConfig before = effective_rss(from, info().limits);
    const RssConfig after = effective_rss(to, info().limits);
    if (before.key != after.key || before.types != after.types)
      return refuse(ErrorCode::bad_state, "the device takes another RSS key or types from a start on",
                    "stop the port first, or change the table alone");
  }
  return {};
}

// A device may merge segments (LRO) if the longest result fits buffers that a device sends again.
void Vmxnet3Port::write_features(const PlacedSettings& settings) noexcept {
  std::uint64_t features = reg::feature::kRxChecksum;
  if (settings.vlan_stripping) features |= reg::feature::kRxVlan;
  bool merges = settings.queues.rx_queues() != 0;
  for (std::size_t queue = 0; queue < settings.queues.rx.size(); ++queue)
    merges =
        merges && rx_[queue].several() && kMaxTsoPieces * settings.queues.rx[queue].buffer_bytes >= kMaxSegmentedFrame;
  for (Vmxnet3RxQueue& queue : rx_) queue.merges = merges;
  if (merges) features |= reg::feature::kLro;
  if (settings.queues.rx_queues() > 1 && effective_rss(settings, info().limits).types.bits != 0)
    features |= reg::feature::kRss;
  shared_.driver().misc.features = features;
  shared_.driver().misc.max_rx_pieces = static_cast<std::uint16_t>(info().limits.max_rx_segments);
}

void Vmxnet3Port::write_rss(const PlacedSettings& settings) noexcept {
  const RssConfig config = effective_rss(settings, info().limits);
  reg::RssConf& rss = shared_.rss();
  rss.types = static_cast<std::uint16_t>((config.types.has(RssTypes::ipv4) ? reg::RssConf::kIpv4 : 0) |
                                         (config.types.has(RssTypes::tcp_ipv4) ? reg::RssConf::kTcpIpv4 : 0) |
                                         (config.types.has(RssTypes::ipv6) ? reg::RssConf::kIpv6 : 0) |
                                         (config.types.has(RssTypes::tcp_ipv6) ? reg::RssConf::kTcpIpv6 : 0));
  rss.function = reg::RssConf::kToeplitz;
  rss.key_bytes = static_cast<std::uint16_t>(rss.key.size());
  rss.entries = reg::RssConf::kTable;
  std::ranges::copy(config.key, rss.key.begin());
  std::ranges::transform(config.table, rss.table.begin(), [](auto queue) { return static_cast<std::uint8_t>(queue); });
}

// In promiscuous mode QEMU's device passes all VLANs, too. Without a receive queue no frame may arrive.
void Vmxnet3Port::write_filters(const PlacedSettings& settings) noexcept {
  using reg::FilterConf;
  FilterConf& filter = shared_.driver().filter;
  std::uint32_t mode = FilterConf::kUnicast | FilterConf::kBroadcast | FilterConf::kMulticast;
  if (settings.all_multicast) mode |= FilterConf::kAllMulticast;
  if (settings.promiscuous) mode |= FilterConf::kPromiscuous | FilterConf::kAllMulticast;
  filter.mode = settings.queues.rx_queues() != 0 ? mode : 0;
  std::ranges::copy(settings.multicast, shared_.multicast());
  filter.multicast_bytes = static_cast<std::uint16_t>(settings.multicast.size() * sizeof(MacAddress));
  filter.vlans.fill(settings.vlans ? 0 : ~std::uint32_t{0});
  filter.vlans[0] |= 1;  // frames without a tag
  for (std::uint32_t vlan = 0; settings.vlans && vlan < settings.vlans->size(); ++vlan) {
    if ((*settings.vlans)[vlan]) filter.vlans[vlan / 32] |= std::uint32_t{1} << vlan % 32;
  }
  const bool in_software = settings.promiscuous && settings.vlans;
  vlans_.set(in_software ? &*settings.vlans : nullptr);
  filter_.set_promiscuous(!in_software);
}

// The filter's mode is the last: it lets the device receive.
Result<void> Vmxnet3Port::apply(const PlacedSettings* from, const PlacedSettings& to) {
  const auto changed = [&](auto... setting) { return from == nullptr || ((from->*setting != to.*setting) || ...); };
  filter_.set_mac(mac_of(to));
  filter_.set_mtu(to.mtu);
  for (std::uint16_t queue = 0; queue < to.queues.rx_queues(); ++queue) rx_[queue].mtu = to.mtu;
  if (changed(&Settings::mac)) write_mac(card_, mac_of(to));
  if (changed(&Settings::vlan_stripping)) {
    write_features(to);
    card_.send(Command::update_features);
  }
  if (from != nullptr && from->rss != to.rss) {
    write_rss(to);
    card_.send(Command::update_rss_table);
  }
  if (changed(&Settings::promiscuous, &Settings::all_multicast, &Settings::multicast, &Settings::vlans)) {
    write_filters(to);
    for (const Command command : {Command::update_mac_filters, Command::update_vlan_filters, Command::update_rx_mode})
      card_.send(command);
  }
  // A read shows that the device has executed all.
  if (card_.regs.read<reg::VRRS>().all_ones()) return fail_removed(card_.name);
  return {};
}

}  // namespace pollux::drivers::vmxnet3
