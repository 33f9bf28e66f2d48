// SPDX-License-Identifier: BSD-3-Clause
// Which frames reach the virtual functions and their port: addresses, groups and VLANs, of settings and as requested.
#include <algorithm>

#include "drivers/intel/igb/functions.hpp"

namespace pollux::drivers::igb {

bool FunctionControl::wants_all_groups() const {
  return std::any_of(functions_.begin(), functions_.begin() + count(),
                     [](const Function& function) { return function.requests.wants_all_groups(); });
}

// Where pools have only tables, that of groups comes with the unicast table, which is open if promiscuous.
bool FunctionControl::port_has_all_groups(const Settings& settings) const {
  return card_.traits->features.pool_all_multicast ? settings.promiscuous || settings.all_multicast
                                                   : settings.all_multicast && !settings.promiscuous;
}

// Function n's own address has the receive address n from the end: Linux, igb_main.c, igb_set_vf_mac. MTA is the union
// of all groups: igb_restore_vf_multicasts. The unicast table serves the port's pool alone; in promiscuous mode all of
// its bits are set: igb_set_rx_mode and igb_set_uta. VLVF has VLAN 0 first: a function without a VLAN of its own is in
// it (igb_vf_reset). With all VLANs for the port, VFTA lets every tag pass, and what no entry names goes to the default
// pool (igb_vlan_promisc_enable).
FunctionControl::Filters FunctionControl::filters(const PlacedSettings& settings) const {
  Filters filters;
  const auto functions = static_cast<std::uint32_t>(settings.functions.size());
  const std::uint32_t port = 1U << functions;
  std::uint32_t untagged = port;
  for (std::uint32_t number = 0; number < functions; ++number) {
    const Requests& requests = functions_[number].requests;
    if (settings.functions[number].vlan == 0) untagged |= 1U << number;
    if (const auto own = requests.mac ? requests.mac : settings.functions[number].mac)
      filters.addresses[card_.traits->exact_addresses - (number + 1)] = {*own, 1U << number};
    for (const auto& [index, mac] : requests.addresses) filters.addresses[index] = {mac, 1U << number};
    gigabit::add_hashes(filters.groups, requests.groups);
  }
  gigabit::add_hashes(filters.groups, gigabit::hashes_of(settings.multicast));
  const bool every_group =
      !card_.traits->features.pool_all_multicast && (wants_all_groups() || port_has_all_groups(settings));
  if (every_group) filters.groups.fill(~std::uint32_t{0});
  gigabit::add_hashes(filters.unicast, gigabit::hashes_of(settings.unicast));
  if (settings.promiscuous) filters.unicast.fill(~std::uint32_t{0});
  filters.add_vlan(0, 0, untagged);
  for (std::uint32_t entry = 1; entry < card_.traits->pool_vlans; ++entry) {
    const auto slot = settings.slots.vlans.find(static_cast<std::uint16_t>(entry));
    const std::uint16_t vlan = slot != settings.slots.vlans.end() ? slot->second : requested_vlans_[entry].vlan;
    if (vlan == 0) continue;
    std::uint32_t pools = requested_vlans_[entry].pools;
    if (!settings.vlans || settings.vlans->test(vlan)) pools |= port;
    for (std::uint32_t number = 0; number < functions; ++number) {
      if (settings.functions[number].vlan == vlan) pools |= 1U << number;
    }
    filters.add_vlan(entry, vlan, pools);
  }
  if (!settings.vlans) filters.vlans.fill(~std::uint32_t{0});
  return filters;
}

void FunctionControl::Filters::add_vlan(std::uint32_t entry, std::uint16_t vlan, std::uint32_t pools) {
  entries[entry] = reg::VLVF::VLANID(vlan) | reg::VLVF::POOLSEL(pools) | reg::VLVF::VLANID_ENABLE;
  vlans[vlan / 32U] |= 1U << vlan % 32U;
}

// clear_filters has cleared what a start does not write.
void FunctionControl::write(const Filters* before, const Filters& after) const {
  const Filters cleared;
  const Filters& from = before == nullptr ? cleared : *before;
  write_hashes<reg::MTA>(card_, from.groups, after.groups);
  write_hashes<reg::UTA>(card_, from.unicast, after.unicast);
  for (std::uint32_t entry = 0; entry < after.entries.size(); ++entry) {
    if (before != nullptr && before->entries[entry].raw() == after.entries[entry].raw()) continue;
    card_.regs.write<reg::VLVF>(entry, after.entries[entry]);
  }
  for (std::uint32_t word = 0; word < after.vlans.size(); ++word) {
    if (before != nullptr && before->vlans[word] == after.vlans[word]) continue;
    gigabit::write_vlan_word(card_, word, after.vlans[word]);
  }
  for (std::uint32_t index = 1; index < after.addresses.size(); ++index) {
    const PoolAddress& address = after.addresses[index];
    if (address == from.addresses[index]) continue;
    if (from.addresses[index].pools != 0) clear_address(card_, index);
    if (address.pools != 0) write_address(card_, index, address.mac, address.pools);
  }
}

// A frame passes the port's filter first (I-M-POOLS). Linux, igb_main.c, igb_set_rx_mode, opens both for its own pool.
void FunctionControl::change_requests(const std::function<void()>& change) {
  const Filters before = filters(port_.settings());
  const bool had_all_groups = wants_all_groups();
  change();
  write(&before, filters(port_.settings()));
  if (wants_all_groups() != had_all_groups) write_receive_control(card_, port_.settings(), !had_all_groups);
}

void FunctionControl::leave_vlans(unsigned number) {
  for (RequestedVlan& requested : requested_vlans_) {
    requested.pools &= ~(1U << number);
    if (requested.pools == 0) requested = {};
  }
}

// The entry of a VLAN that is requested already, by functions that may go on with it, becomes that of the setting.
Result<void> FunctionControl::place_vlans(const PlacedSettings& from, PlacedSettings& to) const {
  auto& slots = to.slots.vlans;
  VlanSet missing;
  std::uint32_t requesting = 0;
  for (std::size_t number = 0; number < to.functions.size(); ++number) {
    missing.set(to.functions[number].vlan);
    const bool goes_on = number < from.functions.size() && from.functions[number].vlan == 0;
    if (to.functions[number].vlan == 0 && goes_on) requesting |= 1U << number;
  }
  if (!to.functions.empty() && to.vlans) missing |= *to.vlans;
  missing.reset(0);
  std::erase_if(slots, [&](const auto& slot) { return !missing.test(slot.second); });
  for (const auto& [entry, vlan] : slots) missing.reset(vlan);
  const auto requested = [&](std::uint16_t entry) {
    return (requested_vlans_[entry].pools & requesting) != 0 ? requested_vlans_[entry].vlan : std::uint16_t{0};
  };
  for (std::uint16_t entry = 1; entry < card_.traits->pool_vlans; ++entry) {
    if (!missing.test(requested(entry))) continue;
    slots[entry] = requested(entry);
    missing.reset(requested(entry));
  }
  std::uint16_t entry = 1;
  for (std::size_t vlan = 1; vlan < missing.size(); ++vlan) {
    if (!missing.test(vlan)) continue;
    while (entry < card_.traits->pool_vlans && (slots.contains(entry) || requested(entry) != 0)) ++entry;
    if (entry == card_.traits->pool_vlans) {
      return fail(ErrorCode::busy,
                  fmt::format("{}: there is no room for the VLANs of all functions and the port", card_.name),
                  fmt::format("remove some: with virtual functions the card knows {} VLANs", entry - 1));
    }
    slots[entry] = static_cast<std::uint16_t>(vlan);
  }
  return {};
}

// Linux, e1000_82575.c and e1000_mac.c, igb_vfta_set and igb_find_vlvf_slot.
bool FunctionControl::request_vlan(unsigned number, std::uint16_t vlan, bool receive) {
  const auto vlan_of = [this](std::uint16_t entry) {
    const auto& slots = port_.settings().slots.vlans;
    const auto slot = slots.find(entry);
    return slot != slots.end() ? slot->second : requested_vlans_[entry].vlan;
  };
  const auto find = [&](std::uint16_t wanted) {
    std::uint16_t entry = 1;
    while (entry < card_.traits->pool_vlans && vlan_of(entry) != wanted) ++entry;
    return entry;
  };
  std::uint16_t entry = find(vlan);
  if (entry == card_.traits->pool_vlans) {
    if (!receive) return true;
    entry = find(0);
    if (entry == card_.traits->pool_vlans) return false;
  }
  change_requests([&] {
    RequestedVlan& requested = requested_vlans_[entry];
    requested = {vlan, receive ? requested.pools | 1U << number : requested.pools & ~(1U << number)};
    if (requested.pools == 0) requested = {};
  });
  return true;
}

}  // namespace pollux::drivers::igb
