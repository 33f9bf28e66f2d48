// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igb/filters.hpp"

#include <set>

namespace pollux::drivers::igb {

MacAddress read_own_address(const Card& card) {
  const std::uint32_t low = card.regs.read<reg::RAL>(0).raw();
  const std::uint32_t high = card.regs.read<reg::RAH>(0).get(reg::RAH::ADDRESS);
  MacAddress mac{};
  for (unsigned i = 0; i < 4; ++i) mac[i] = static_cast<std::uint8_t>(low >> (8 * i));
  for (unsigned i = 0; i < 2; ++i) mac[4 + i] = static_cast<std::uint8_t>(high >> (8 * i));
  return mac;
}

// Linux, e1000_mac.c, igb_rar_set: low half first, with a flush after each half, since some bridges merge two writes
// into one burst.
void write_address(const Card& card, std::uint32_t index, const MacAddress& mac, std::uint32_t pools) {
  std::uint32_t low = 0;
  std::uint32_t high = 0;
  for (unsigned i = 0; i < 4; ++i) low |= std::uint32_t{mac[i]} << (8 * i);
  for (unsigned i = 0; i < 2; ++i) high |= std::uint32_t{mac[4 + i]} << (8 * i);
  card.regs.write<reg::RAL>(index, reg::RAL::Value(low));
  card.regs.flush();
  card.regs.write<reg::RAH>(index, reg::RAH::ADDRESS(high) | reg::RAH::POOLSEL(pools) | reg::RAH::AV);
  card.regs.flush();
}

// The half with AV first, so that the card never compares half an address.
void clear_address(const Card& card, std::uint32_t index) {
  card.regs.write<reg::RAH>(index, {});
  card.regs.write<reg::RAL>(index, {});
  card.regs.flush();
}

// Linux, e1000_82575.c, igb_init_hw_82575: the other receive addresses, MTA, UTA.
void clear_filters(const Card& card) {
  for (std::uint32_t i = 1; i < card.traits->exact_addresses; ++i) {
    card.regs.write<reg::RAL>(i, {});
    card.regs.write<reg::RAH>(i, {});
  }
  for (std::uint32_t i = 0; i < reg::kMulticastTableWords; ++i) card.regs.write<reg::MTA>(i, {});
  for (std::uint32_t i = 0; i < reg::kUnicastTableWords; ++i) card.regs.write<reg::UTA>(i, {});
  card.regs.flush();
}

// The bit of MTA, or of UTA, while RCTL.MO is 0: bits 47 to 36 of the address. Linux, e1000_mac.c, igb_hash_mc_addr.
std::vector<std::uint16_t> hashes_of(std::span<const MacAddress> addresses) {
  std::vector<std::uint16_t> hashes;
  for (const MacAddress& mac : addresses)
    hashes.push_back(static_cast<std::uint16_t>((std::uint32_t{mac[4]} >> 4 | std::uint32_t{mac[5]} << 4) & 0xFFF));
  return hashes;
}

void add_hashes(HashTable& table, std::span<const std::uint16_t> hashes) {
  for (const std::uint16_t hash : hashes) table[hash / 32U % table.size()] |= 1U << hash % 32U;
}

namespace {

bool groups_fit(const Card& card, const Settings& settings) {
  return settings.unicast.size() + settings.multicast.size() < card.traits->exact_addresses;
}

// Linux, e1000_mac.c, igb_update_mc_addr_list.
HashTable group_table(const Card& card, const Settings& settings) {
  HashTable table{};
  if (!groups_fit(card, settings)) add_hashes(table, hashes_of(settings.multicast));
  return table;
}

}  // namespace

void place_addresses(const Card& card, Settings& settings) {
  std::set<MacAddress> missing;
  if (settings.functions.empty()) {
    missing.insert(settings.unicast.begin(), settings.unicast.end());
    if (groups_fit(card, settings)) missing.insert(settings.multicast.begin(), settings.multicast.end());
  }
  auto& slots = settings.slots.addresses;
  std::erase_if(slots, [&](const auto& slot) { return missing.erase(slot.second) == 0; });
  for (std::uint16_t index = 1; !missing.empty(); ++index) {
    if (slots.try_emplace(index, *missing.begin()).second) missing.erase(missing.begin());
  }
}

void write_addresses(const Card& card, const Settings* from, const Settings& to) {
  const Settings none;
  const Settings& before = from == nullptr ? none : *from;
  const HashTable old_table = group_table(card, before);
  const HashTable table = group_table(card, to);
  HashTable both = table;
  for (std::size_t word = 0; word < both.size(); ++word) both[word] |= old_table[word];
  write_hashes<reg::MTA>(card, old_table, both);  // groups pass by their hash before they lose their receive address
  const auto has = [](const Settings& settings, const auto& slot) {
    const auto found = settings.slots.addresses.find(slot.first);
    return found != settings.slots.addresses.end() && found->second == slot.second;
  };
  for (const auto& slot : before.slots.addresses) {
    if (!has(to, slot)) clear_address(card, slot.first);
  }
  for (const auto& slot : to.slots.addresses) {
    if (!has(before, slot)) write_address(card, slot.first, slot.second, 0);
  }
  write_hashes<reg::MTA>(card, both, table);
}

reg::RCTL::Setting promiscuity(bool promiscuous, bool all_multicast) {
  const std::uint32_t upe = promiscuous ? reg::RCTL::UPE.mask() : 0;
  const std::uint32_t mpe = promiscuous || all_multicast ? reg::RCTL::MPE.mask() : 0;
  return {reg::RCTL::UPE.mask() | reg::RCTL::MPE.mask(), upe | mpe};
}

namespace {

constexpr std::uint32_t kVlanType = 0x8100;

}  // namespace

// VFTA has one bit per VLAN: Linux, e1000_82575.c and e1000_mac.c, igb_vfta_set.
void write_vlans(const Card& card, const VlanSet* before, const VlanSet& vlans) {
  constexpr std::size_t kBits = 32;
  const auto bits = [](const VlanSet& set, std::size_t word) {
    return static_cast<std::uint32_t>((set >> word * kBits & VlanSet(~std::uint32_t{0})).to_ulong());
  };
  for (std::size_t word = 0; word < reg::kVlanTableWords; ++word) {
    const std::uint32_t value = bits(vlans, word);
    if (before != nullptr && bits(*before, word) == value) continue;
    card.regs.write<reg::VFTA>(static_cast<std::uint32_t>(word), reg::VFTA::Value(value));
  }
}

// Linux, igb_main.c, igb_vlan_mode: CTRL.VME for the whole port.
void write_vlan_stripping(const Card& card, bool on) {
  const auto control = read_control(card);
  if (control.all_ones()) return;
  card.regs.write<reg::CTRL>(on ? control.with(reg::CTRL::VME) : control.without(reg::CTRL::VME));
}

// [I-EXTVLAN] The mode is on only while the type is right, so that no frame meets it with another type. Without the
// mode the type is that after a reset. DPDK, igb_ethdev.c, eth_igb_vlan_tpid_set and igb_vlan_hw_extend_enable; QEMU,
// igb_core.c, igb_mac_reg_init.
void write_outer_vlan_type(const Card& card, std::optional<std::uint16_t> ether_type) {
  if (!ether_type) clear<reg::CTRL_EXT>(card, reg::CTRL_EXT::EXT_VLAN);
  card.regs.write<reg::VET>(reg::VET::TYPE(kVlanType) | reg::VET::OUTER_TYPE(ether_type.value_or(kVlanType)));
  if (ether_type) modify<reg::CTRL_EXT>(card, reg::CTRL_EXT::EXT_VLAN);
}

}  // namespace pollux::drivers::igb
