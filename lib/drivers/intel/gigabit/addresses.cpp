// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/gigabit/addresses.hpp"

#include <set>

namespace pollux::drivers::gigabit {

MacAddress read_own_address(const GigabitCard& card) {
  const std::uint32_t low = card.regs.read<reg::RAL>(0).raw();
  const std::uint32_t high = card.regs.read<reg::RAH>(0).get(reg::RAH::ADDRESS);
  MacAddress mac{};
  for (unsigned i = 0; i < 4; ++i) mac[i] = static_cast<std::uint8_t>(low >> (8 * i));
  for (unsigned i = 0; i < 2; ++i) mac[4 + i] = static_cast<std::uint8_t>(high >> (8 * i));
  return mac;
}

// Linux, e1000_mac.c, igb_rar_set: low half first, with a flush after each half, since some bridges merge two writes
// into one burst.
void write_address(const GigabitCard& card, std::uint32_t index, const MacAddress& mac, std::uint32_t pools) {
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
void clear_address(const GigabitCard& card, std::uint32_t index) {
  card.regs.write<reg::RAH>(index, {});
  card.regs.write<reg::RAL>(index, {});
  card.regs.flush();
}

// Linux igb, e1000_82575.c, igb_init_hw_82575, and e1000e, 82571.c, e1000_init_hw_82571.
void clear_addresses(const GigabitCard& card) {
  for (std::uint32_t i = 1; i < card.family.exact_addresses; ++i) {
    card.regs.write<reg::RAL>(i, {});
    card.regs.write<reg::RAH>(i, {});
  }
  for (std::uint32_t i = 0; i < reg::kMulticastTableWords; ++i) card.regs.write<reg::MTA>(i, {});
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

bool groups_fit(const GigabitCard& card, const Settings& settings) {
  return settings.unicast.size() + settings.multicast.size() < card.family.exact_addresses;
}

// Linux, e1000_mac.c, igb_update_mc_addr_list.
HashTable group_table(const GigabitCard& card, const Settings& settings) {
  HashTable table{};
  if (!groups_fit(card, settings)) add_hashes(table, hashes_of(settings.multicast));
  return table;
}

}  // namespace

void place_addresses(const GigabitCard& card, PlacedSettings& settings) {
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

void write_addresses(const GigabitCard& card, const PlacedSettings* from, const PlacedSettings& to) {
  const PlacedSettings none;
  const PlacedSettings& before = from == nullptr ? none : *from;
  const HashTable old_table = group_table(card, before);
  const HashTable table = group_table(card, to);
  HashTable both = table;
  for (std::size_t word = 0; word < both.size(); ++word) both[word] |= old_table[word];
  write_hashes<reg::MTA>(card, old_table, both);  // groups pass by their hash before they lose their receive address
  const auto has = [](const PlacedSettings& settings, const auto& slot) {
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

// [E-VFTA]
void write_vlan_word(const GigabitCard& card, std::uint32_t word, std::uint32_t value) {
  for (std::uint32_t i = 0; i < card.family.vlan_table_writes; ++i) {
    card.regs.write<reg::VFTA>(word, reg::VFTA::Value(value));
  }
}

// VFTA has one bit per VLAN: Linux, e1000_82575.c and e1000_mac.c, igb_vfta_set.
void write_vlans(const GigabitCard& card, const VlanSet* before, const VlanSet& vlans) {
  constexpr std::size_t kBits = 32;
  const auto bits = [](const VlanSet& set, std::size_t word) {
    return static_cast<std::uint32_t>((set >> word * kBits & VlanSet(~std::uint32_t{0})).to_ulong());
  };
  for (std::size_t word = 0; word < reg::kVlanTableWords; ++word) {
    const std::uint32_t value = bits(vlans, word);
    if (before != nullptr && bits(*before, word) == value) continue;
    write_vlan_word(card, static_cast<std::uint32_t>(word), value);
  }
}

// Linux, igb_main.c, igb_vlan_mode: CTRL.VME for the whole port.
void write_vlan_stripping(const GigabitCard& card, bool on) {
  const auto control = read_control(card);
  if (control.all_ones()) return;
  card.regs.write<reg::CTRL>(on ? control.with(reg::CTRL::VME) : control.without(reg::CTRL::VME));
}

}  // namespace pollux::drivers::gigabit
