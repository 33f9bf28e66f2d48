// SPDX-License-Identifier: BSD-3-Clause
// The port's settings: which are refused, and how they reach the device.
#include <algorithm>
#include <chrono>
#include <vector>

#include <fmt/format.h>

#include "drivers/virtio/net/port.hpp"
#include "net/frame_size.hpp"
#include "net/settings_check.hpp"

namespace pollux::drivers::virtio {
namespace {

// Of a frame in one buffer. The port's own pool has headroom enough.
std::uint32_t room(const PlacedRxQueue& queue) noexcept {
  if (queue.pool == nullptr) return queue.buffer_bytes;
  const std::uint32_t data = std::max(queue.pool->data_offset(), std::uint32_t{sizeof(hw::virtio::NetHeaderWithHash)});
  return std::min(queue.buffer_bytes, queue.pool->buffer_size() - data);
}

// Each buffer has room for a header, which only the first one has.
bool holds(const PlacedRxQueue& queue, std::uint64_t frame) noexcept {
  constexpr std::uint64_t kHeader = sizeof(hw::virtio::NetHeader);
  return queue.ring * (kHeader + room(queue)) >= kHeader + frame;
}

}  // namespace

SettingSet supported_settings(const Device& device, Features features) {
  SettingSet settings = kCommonSettings;
  if ((features & feature::kCtrlRx) != 0) settings.insert(Setting::unicast);
  if ((features & feature::kCtrlRx) != 0) settings.insert(Setting::multicast);
  if ((features & feature::kCtrlVlan) != 0) settings.insert(Setting::vlans);
  if ((features & feature::kRss) != 0) settings.insert(Setting::rss);
  if (device.interrupt_vectors() != 0 && (features & (feature::kNotfCoal | feature::kVqNotfCoal)) != 0)
    settings.insert(Setting::moderation);
  return settings;
}

bool holds_superframes(const PlacedRxQueue& queue) noexcept { return holds(queue, kMaxSegmentedFrame); }

// Without MRG_RXBUF a device drops what does not fit one buffer. With it, a frame waits in the device until there are
// enough, and all others behind it.
Result<void> VirtioNetPort::check_ring(std::size_t index, const PlacedRxQueue& queue) const {
  const bool unsegmented = running() && card_.has(kSuperframes);
  const std::uint32_t longest = unsegmented ? kMaxSegmentedFrame : info().limits.max_rx_frame;
  if ((facts_.features & feature::kMrgRxbuf) == 0 || holds(queue, longest)) return {};
  return refuse(
      unsegmented ? ErrorCode::bad_state : ErrorCode::invalid_argument,
      fmt::format("a frame of {} bytes, which may arrive whatever the MTU, does not fit receive queue {}, whose "
                  "ring = {} has buffers of {}",
                  longest, index, queue.ring, room(queue)),
      unsegmented ? "stop the port first: with that ring the device then segments what it passes on"
                  : "use a larger ring or a pool with a larger data_room");
}

Result<void> VirtioNetPort::check(const PlacedSettings& from, PlacedSettings& to) {
  const auto has = [this](Features any) { return (facts_.features & any) != 0; };
  if (to.mac != from.mac && to.mac && !has(feature::kCtrlMacAddr)) {
    return refuse(ErrorCode::not_supported, "the device's address cannot be changed",
                  "change it on the host; the device lacks CTRL_MAC_ADDR");
  }
  if (running() && from.vlans.has_value() != to.vlans.has_value()) {
    return refuse(ErrorCode::bad_state, "VLANs cannot be filtered from now on: the device must be reset",
                  "stop the port, set the first VLAN, start the port again");
  }
  // 5.1.6.5.7.1: RSS names enabled queues only. The device would refuse to go back, too.
  if (running() && has(feature::kRss) && from.rss != to.rss) {
    const auto stopped = [this](std::uint16_t queue) { return !is_enabled(card_, hw::virtio::rx_queue_index(queue)); };
    std::vector<std::uint16_t> named = effective_rss(to, info().limits).table;
    named.push_back(0);  // of frames without a hash
    if (const auto found = std::ranges::find_if(named, stopped); found != named.end()) {
      return refuse(ErrorCode::bad_state, fmt::format("RSS: receive queue {} is stopped", *found),
                    "start the queue, or name other ones; queue 0 gets the frames without a hash");
    }
  }
  for (std::size_t queue = 0; queue < to.queues.rx.size(); ++queue) {
    if (auto fits = check_ring(queue, to.queues.rx[queue]); !fits) return fits;
  }
  if (!has(feature::kMrgRxbuf)) {
    for (const PlacedRxQueue& queue : to.queues.rx) {
      if (queue.pool == nullptr || frame_bytes(to.mtu) <= room(queue)) continue;
      return refuse(
          ErrorCode::invalid_argument,
          fmt::format("a frame of {} bytes does not fit into one buffer of {}", frame_bytes(to.mtu), room(queue)),
          "use a pool with a larger data_room, or a smaller MTU; the device lacks MRG_RXBUF");
    }
  }
  // Without RSS the device chooses among the receive queues of all pairs.
  if (!has(feature::kRss) && to.queues.tx_queues() > std::max<std::uint16_t>(to.queues.rx_queues(), 1)) {
    return refuse(ErrorCode::invalid_argument,
                  fmt::format("{} transmit queues need as many receive queues", to.queues.tx_queues()),
                  "configure as many receive queues; the device lacks RSS");
  }
  return {};
}

Result<void> VirtioNetPort::apply(const PlacedSettings* from, const PlacedSettings& to) {
  if (auto filtered = apply_filters(from, to); !filtered) return filtered;
  if (auto spread = apply_spreading(from, to); !spread) return spread;
  if (from != nullptr && from->moderation == to.moderation) return {};
  for (std::uint16_t queue = 0; queue < to.queues.rx_queues(); ++queue) {
    if (auto moderated = moderate(to, queue); !moderated) return moderated;
  }
  return {};
}

// A device without CTRL_RX passes everything, and software filters. One that has it may still pass more than it should
// (5.1.6.5.1 "Packet Receive Filtering"), as a card's hash does.
Result<void> VirtioNetPort::apply_filters(const PlacedSettings* from, const PlacedSettings& to) {
  const auto changed = [&](auto... setting) { return from == nullptr || ((from->*setting != to.*setting) || ...); };
  const bool device_filters = card_.has(feature::kCtrlRx);
  filter_.set_mac(mac_of(to));
  filter_.set_mtu(to.mtu);
  // In promiscuous mode the device passes all VLANs, too.
  const bool software_vlans = device_filters && to.promiscuous && to.vlans;
  vlans_.set(software_vlans ? &*to.vlans : nullptr);
  filter_.set_promiscuous((to.promiscuous || device_filters) && !software_vlans);
  filter_.set_all_multicast(to.all_multicast);
  if (changed(&Settings::mac) && card_.has(feature::kCtrlMacAddr)) {
    if (auto set = commands().set_address(mac_of(to)); !set) return set;
  }
  if (device_filters) {
    if (changed(&Settings::unicast, &Settings::multicast)) {
      std::vector<MacAddress> unicast = to.unicast;
      // The device does not know the address that the driver has made.
      if (!card_.has(feature::kMac | feature::kCtrlMacAddr)) unicast.push_back(mac_of(to));
      if (auto set = commands().set_tables(unicast, to.multicast); !set) return set;
    }
    if (changed(&Settings::all_multicast)) {
      if (auto set = commands().set_all_multicast(to.all_multicast); !set) return set;
    }
    if (changed(&Settings::promiscuous)) {
      if (auto set = commands().set_promiscuous(to.promiscuous); !set) return set;
    }
  }
  if (changed(&Settings::vlans) && to.vlans && card_.has(feature::kCtrlVlan)) {
    return commands().set_vlans(from != nullptr ? from->vlans : std::nullopt, *to.vlans);
  }
  return {};
}

// After a reset the device uses one pair and reports no hashes. Without RSS nobody can choose what is hashed.
Result<void> VirtioNetPort::apply_spreading(const PlacedSettings* from, const PlacedSettings& to) {
  if (from != nullptr && from->rss == to.rss) return {};
  RssConfig rss = effective_rss(to, info().limits);
  if (!card_.has(feature::kRss)) rss.types = {RssTypes().bits & info().limits.rss_types};
  const std::uint16_t queues = std::max<std::uint16_t>(to.queues.tx_queues(), 1);
  if (card_.has(feature::kRss) && to.queues.rx_queues() != 0) return commands().set_rss(rss, queues);
  const std::uint16_t pairs = std::max(to.queues.rx_queues(), queues);
  if (from == nullptr && card_.has(feature::kMq) && pairs > 1) {
    if (auto set = commands().set_pairs(pairs); !set) return set;
  }
  return card_.has(feature::kHashReport) ? commands().set_hash(rss) : Result<void>();
}

// "Notifications Coalescing": an interrupt after a number of frames or a time, of each queue or of all. Half a ring of
// frames must not wait. A device refuses to limit a queue that is stopped, which is told when it starts.
Result<void> VirtioNetPort::moderate(const Settings& settings, std::uint16_t queue) {
  const bool each = card_.has(feature::kVqNotfCoal);
  const auto set = each ? settings.moderation.find(queue) : settings.moderation.begin();
  const Duration interval = set == settings.moderation.end() ? Duration(0) : set->second.interval;
  const auto microseconds = std::chrono::duration_cast<std::chrono::microseconds>(interval).count();
  const hw::virtio::Coalescing coalescing{.max_packets = microseconds != 0 ? rx_[queue].size() / 2 : 0,
                                          .max_microseconds = static_cast<std::uint32_t>(microseconds)};
  if (!each) return card_.has(feature::kNotfCoal) ? commands().set_rx_coalescing(coalescing) : Result<void>();
  const std::uint16_t index = hw::virtio::rx_queue_index(queue);
  return is_enabled(card_, index) ? commands().set_coalescing(index, coalescing) : Result<void>();
}

}  // namespace pollux::drivers::virtio
