// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igb/function_filters.hpp"

#include <algorithm>
#include <utility>

#include "drivers/intel/igb/filters.hpp"

namespace pollux::drivers::igb {

bool FunctionVlans::has_room(const Settings& from, const Settings& to) const noexcept {
  VlanSet all = to.vlans.value_or(VlanSet());
  std::uint32_t requesting = 0;  // those without a VLAN of their own
  for (std::size_t number = 0; number < to.functions.size(); ++number) {
    const std::uint16_t vlan = to.functions[number].vlan;
    all.set(vlan);
    if (vlan == 0 && number < from.functions.size() && from.functions[number].vlan == 0) requesting |= 1U << number;
  }
  for (const Entry& entry : entries_) {
    if ((entry.pools & requesting) != 0) all.set(entry.vlan);
  }
  return all.reset(0).count() < card_.traits->pool_vlans;  // VLAN 0 has the first entry
}

// Linux, e1000_82575.c and e1000_mac.c, igb_vfta_set and igb_find_vlvf_slot.
bool FunctionVlans::set(std::uint16_t vlan, std::uint32_t pool, bool receive, bool write) {
  const auto find = [this](std::uint16_t wanted) {
    return std::find_if(entries_.begin(), entries_.end(), [wanted](const Entry& e) { return e.vlan == wanted; });
  };
  auto entry = find(vlan);
  if (entry == entries_.end()) {
    if (!receive) return true;
    entry = find(0);
    if (entry == entries_.end()) return false;
    *entry = {.vlan = vlan, .pools = 0};
  }
  entry->pools = receive ? entry->pools | 1U << pool : entry->pools & ~(1U << pool);
  if (write) this->write(static_cast<std::size_t>(entry - entries_.begin()));
  if (entry->pools == 0) *entry = {};
  return true;
}

void FunctionVlans::write_untagged(std::uint32_t pools) const { write_entry(0, 0, pools); }

void FunctionVlans::remove(std::uint32_t pool, bool write) {
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    Entry& entry = entries_[i];
    if ((entry.pools & 1U << pool) == 0) continue;
    entry.pools &= ~(1U << pool);
    if (write) this->write(i);
    if (entry.pools == 0) entry = {};
  }
}

// With all VLANs for the port, VFTA lets every tag pass, and what no entry names goes to the default pool. Linux,
// igb_main.c, igb_vlan_promisc_enable.
void FunctionVlans::write_all(std::uint32_t port_pool, bool port_receives_all) {
  port_bits_ = port_receives_all ? 1U << port_pool : 0;
  for (std::size_t i = 0; i < entries_.size(); ++i) write(i);
  for (std::uint32_t word = 0; word < reg::kVlanTableWords; ++word) {
    card_.regs.write<reg::VFTA>(word, reg::VFTA::Value(port_receives_all ? ~std::uint32_t{0} : bits_of_word(word)));
  }
}

void FunctionVlans::write(std::size_t index) const {
  const Entry& entry = entries_[index];
  write_entry(index + 1, entry.vlan, entry.pools == 0 ? 0 : entry.pools | port_bits_);
  if (port_bits_ != 0 || entry.vlan == 0) return;
  const std::uint32_t word = entry.vlan / 32U;
  card_.regs.write<reg::VFTA>(word, reg::VFTA::Value(bits_of_word(word)));
}

void FunctionVlans::write_entry(std::size_t number, std::uint16_t vlan, std::uint32_t pools) const {
  reg::VLVF::Value value;
  if (pools != 0) value = value.with(reg::VLVF::VLANID(vlan) | reg::VLVF::POOLSEL(pools) | reg::VLVF::VLANID_ENABLE);
  card_.regs.write<reg::VLVF>(static_cast<std::uint32_t>(number), value);
}

// VLAN 0 is a priority tag, which belongs to no VLAN.
std::uint32_t FunctionVlans::bits_of_word(std::uint32_t word) const noexcept {
  std::uint32_t bits = word == 0 ? 1 : 0;
  for (const Entry& entry : entries_) {
    if (entry.pools != 0 && entry.vlan / 32U == word) bits |= 1U << entry.vlan % 32U;
  }
  return bits;
}

// Linux, igb_main.c, igb_set_vf_mac.
void FunctionAddresses::write_own(unsigned function, const std::optional<MacAddress>& mac) const {
  const std::uint32_t index = card_.traits->exact_addresses - (function + 1);
  if (mac) {
    write_address(card_, index, *mac, 1U << function);
  } else {
    clear_entry(index);
  }
}

void FunctionAddresses::clear_entry(std::uint32_t index) const {
  card_.regs.write<reg::RAH>(index, {});
  card_.regs.write<reg::RAL>(index, {});
  card_.regs.flush();
}

// Linux, igb_main.c, igb_set_vf_mac_filter.
bool FunctionAddresses::add(unsigned function, const MacAddress& mac, unsigned functions) {
  for (std::uint32_t index = 1; index < card_.traits->exact_addresses - functions; ++index) {
    if (others_[index].used) continue;
    others_[index] = {.function = function, .used = true};
    write_address(card_, index, mac, 1U << function);
    return true;
  }
  return false;
}

void FunctionAddresses::remove_others(unsigned function) {
  for (std::uint32_t index = 1; index < others_.size(); ++index) {
    if (!others_[index].used || others_[index].function != function) continue;
    others_[index] = {};
    clear_entry(index);
  }
}

// The table is the union of all functions' groups: Linux, igb_main.c, igb_restore_vf_multicasts; e1000_mac.c,
// igb_mta_set.
void FunctionAddresses::set_hashes(unsigned function, std::vector<std::uint16_t> hashes) {
  hashes_[function] = std::move(hashes);
  write_groups();
}

void FunctionAddresses::let_all_groups_pass(bool on) {
  if (std::exchange(all_groups_, on) != on) write_groups();
}

void FunctionAddresses::write_groups() {
  Table table{};
  if (all_groups_) table.fill(~std::uint32_t{0});
  for (const auto& all : hashes_) add_hashes(table, all);
  for (std::uint32_t word = 0; word < table.size(); ++word) {
    if (table[word] != table_[word]) card_.regs.write<reg::MTA>(word, reg::MTA::Value(table[word]));
  }
  table_ = table;
}

void FunctionAddresses::set_unicast_hashes(const std::vector<std::uint16_t>& hashes) {
  unicast_ = {};
  add_hashes(unicast_, hashes);
  write_unicast_table();
}

void FunctionAddresses::let_all_unicast_pass(bool on) {
  all_unicast_ = on;
  write_unicast_table();
}

void FunctionAddresses::write_unicast_table() {
  for (std::uint32_t word = 0; word < written_.size(); ++word) {
    const std::uint32_t bits = all_unicast_ ? ~std::uint32_t{0} : unicast_[word];
    if (bits == std::exchange(written_[word], bits)) continue;
    card_.regs.write<reg::UTA>(word, reg::UTA::Value(bits));
  }
}

void FunctionAddresses::forget() noexcept {
  others_ = {};
  table_ = unicast_ = written_ = {};
  all_groups_ = all_unicast_ = false;
  for (auto& hashes : hashes_) hashes.clear();
}

}  // namespace pollux::drivers::igb
