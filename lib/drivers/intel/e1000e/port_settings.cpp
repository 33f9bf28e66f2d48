// SPDX-License-Identifier: BSD-3-Clause
// What each setting of the port governs on the card.
#include <utility>

#include "drivers/intel/common/ring_setup.hpp"
#include "drivers/intel/e1000e/port.hpp"
#include "drivers/intel/e1000e/queue_setup.hpp"
#include "drivers/intel/gigabit/addresses.hpp"
#include "drivers/intel/gigabit/phy.hpp"
#include "drivers/intel/gigabit/queues.hpp"
#include "net/frame_size.hpp"
#include "net/settings_check.hpp"

namespace pollux::drivers::e1000e {
namespace {

/// For a receiving thread to end its burst.
constexpr Duration kReceiveLimit = milliseconds(100);

}  // namespace

SettingSet supported_settings(Device& device) {
  SettingSet settings = kCommonSettings;
  for (const Setting setting :
       {Setting::keep_fcs, Setting::unicast, Setting::multicast, Setting::vlans, Setting::vlan_stripping, Setting::led,
        Setting::link, Setting::phy_enabled, Setting::flow_control, Setting::wake, Setting::rss}) {
    settings.insert(setting);
  }
  if (device.interrupt_vectors() >= kVectors) settings.insert(Setting::moderation);
  return settings;
}

Result<void> E1000ePort::check(const PlacedSettings& from, PlacedSettings& to) {
  if (to.unicast != from.unicast || to.multicast != from.multicast) place_addresses(card_, to);
  if (to.link != from.link || to.phy_enabled != from.phy_enabled) {
    if (auto fits = check_link(from, to); !fits) return fits;
  }
  if (auto wakes = check_wake(from, to); !wakes) return wakes;
  if (to.flow_control == from.flow_control || card_.regs.removed()) return {};
  auto valid = with_marks(to);
  return valid ? Result<void>() : pass_on(std::move(valid));
}

// Without LPE the card has the limit of the usual MTU; with it, none.
Result<void> E1000ePort::limit_length(const PlacedSettings* from, const PlacedSettings& to) {
  queues()->set_longest_good(wire_bytes(to.mtu));
  const bool in_software = to.mtu != kUsualMtu;
  if (from != nullptr && in_software == (from->mtu != kUsualMtu)) return {};
  auto paused = from == nullptr ? Result<void>() : queues()->pause_receive(card_.clock(), kReceiveLimit);
  if (paused) queues()->drop_long_frames(in_software);
  queues()->resume_receive();
  return paused;
}

// RCTL is the last: it lets the card receive.
Result<void> E1000ePort::apply(const PlacedSettings* from, const PlacedSettings& to) {
  const auto changed = [&](auto... setting) { return from == nullptr || ((from->*setting != to.*setting) || ...); };
  if (changed(&Settings::led)) {
    if (auto shown = leds_.write(to.led); !shown) return shown;
  }
  if (!running()) {  // the other settings are written by the next start
    if (!to.phy_enabled && changed(&Settings::phy_enabled)) {
      if (auto stopped = stop_phy(card_); !stopped) return stopped;
    }
    return flush_registers(card_);
  }
  if (from == nullptr) clear_addresses(card_);
  if (changed(&Settings::mac)) write_address(card_, 0, mac_of(to), 0);
  if (changed(&Settings::vlans)) {
    const VlanSet before = from != nullptr ? from->vlans.value_or(VlanSet()) : VlanSet();
    write_vlans(card_, from != nullptr ? &before : nullptr, to.vlans.value_or(VlanSet()));
  }
  if (changed(&Settings::vlan_stripping)) {
    write_vlan_stripping(card_, to.vlan_stripping);
    queues()->let_card_insert_tags(to.vlan_stripping);
  }
  if (auto linked = apply_link_settings(from, to); !linked) return linked;
  if (changed(&Settings::mtu)) {
    if (auto limited = limit_length(from, to); !limited) return limited;
  }
  if (changed(&Settings::moderation)) moderate(to);
  if (changed(&Settings::rss) && to.queues.rx_queues() != 0) write_rss(card_, effective_rss(to, info().limits));
  if (changed(&Settings::unicast, &Settings::multicast)) write_addresses(card_, from, to);
  if (changed(&Settings::promiscuous, &Settings::all_multicast, &Settings::vlans, &Settings::mtu)) {
    write_receive_control(card_, to);
  }
  return flush_registers(card_);
}

Result<void> E1000ePort::pause(Duration limit) {
  return gigabit::pause_queues(card_, *queues(), settings().vlan_stripping, limit);
}

void E1000ePort::unpause() noexcept { gigabit::resume_queues(*queues()); }

}  // namespace pollux::drivers::e1000e
