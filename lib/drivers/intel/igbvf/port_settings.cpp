// SPDX-License-Identifier: BSD-3-Clause
// What each setting of the port governs, and what of it the physical function is asked for.
#include "drivers/intel/igbvf/port.hpp"
#include "net/frame_size.hpp"

namespace pollux::drivers::igbvf {
namespace {

/// For a receiving thread to end its burst.
constexpr Duration kReceiveLimit = milliseconds(100);

}  // namespace

SettingSet supported_settings(const Device& device) {
  SettingSet settings = kCommonSettings;
  settings.erase(Setting::promiscuous);
  settings.insert(Setting::multicast);
  settings.insert(Setting::vlans);
  if (device.interrupt_vectors() != 0) settings.insert(Setting::moderation);
  return settings;
}

// Compared with what the physical function has granted: a reset makes it forget all, and what it refused or did not
// answer is not taken back. The address that the host has assigned is not requested: Linux's igb refuses even that to
// an untrusted function (igb_main.c, igb_set_vf_mac_addr).
Result<void> IgbvfPort::apply(const PlacedSettings* from, const PlacedSettings& to) {
  moderate(to);
  if (const MacAddress mac = mac_of(to); mac != granted_.mac) {
    if (auto set = request_address(card_, mailbox_, mac); !set) return set;
    granted_.mac = mac;
  }
  if (to.mtu != granted_.mtu) {
    if (auto set = request_max_frame(card_, mailbox_, wire_bytes(to.mtu)); !set) return set;
    granted_.mtu = to.mtu;
  }
  if (to.all_multicast != granted_.all_multicast) {
    if (auto set = request_all_multicast(card_, mailbox_, to.all_multicast); !set) return set;
    granted_.all_multicast = to.all_multicast;
  }
  if (to.multicast != granted_.multicast) {
    if (auto set = request_multicast(card_, mailbox_, to.multicast); !set) return set;
    granted_.multicast = to.multicast;
  }
  const VlanSet vlans = to.vlans.value_or(VlanSet());
  if (from == nullptr) {
    queues()->set_rx_format(format_ = rx_format(vlans));
    return request_vlans(vlans);
  }
  // The first frame of a VLAN may come before the answer.
  if (auto shown = show_vlans(granted_.vlans | vlans); !shown) return shown;
  auto set = request_vlans(vlans);
  auto shown = show_vlans(granted_.vlans);
  return set ? shown : set;
}

// Without a VLAN of its own, the function gets frames of the one that the host has assigned, if any.
RxFormat IgbvfPort::rx_format(const VlanSet& vlans) const noexcept {
  const RxFormat format = (vlans >> 1).any() ? RxFormat::intel_advanced : RxFormat::intel_assigned_tag;
  return traits_.swaps_looped_tags ? intel::with_looped_tags(format) : format;
}

Result<void> IgbvfPort::request_vlans(const VlanSet& vlans) {
  for (std::size_t vlan = 1; vlan < vlans.size(); ++vlan) {
    if (granted_.vlans[vlan] == vlans[vlan]) continue;
    auto set = request_vlan(card_, mailbox_, static_cast<std::uint16_t>(vlan), vlans[vlan]);
    if (!set) return set;
    granted_.vlans[vlan] = vlans[vlan];
  }
  return {};
}

Result<void> IgbvfPort::show_vlans(const VlanSet& vlans) {
  if (rx_format(vlans) == format_) return {};
  auto paused = queues()->pause_receive(card_.clock(), kReceiveLimit);
  if (paused) queues()->set_rx_format(format_ = rx_format(vlans));
  queues()->resume_receive();
  return paused;
}

}  // namespace pollux::drivers::igbvf
