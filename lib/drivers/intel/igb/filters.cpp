// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igb/filters.hpp"

#include <algorithm>
#include <set>
#include <string>

#include <fmt/format.h>

#include "hw/intel/igb/limits.hpp"
#include "net/config_check.hpp"
#include "net/settings_check.hpp"

namespace pollux::drivers::igb {

MacAddress read_own_address(const IgbCard& card) {
  const std::uint32_t low = card.regs.read<reg::RAL>(0).raw();
  const std::uint32_t high = card.regs.read<reg::RAH>(0).get(reg::RAH::ADDRESS);
  MacAddress mac{};
  for (unsigned i = 0; i < 4; ++i) mac[i] = static_cast<std::uint8_t>(low >> (8 * i));
  for (unsigned i = 0; i < 2; ++i) mac[4 + i] = static_cast<std::uint8_t>(high >> (8 * i));
  return mac;
}

// Linux, e1000_mac.c, igb_rar_set: low half first, with a flush after each half, since some bridges merge two writes
// into one burst.
void write_address(const IgbCard& card, std::uint32_t index, const MacAddress& mac, std::uint32_t pools) {
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
void clear_address(const IgbCard& card, std::uint32_t index) {
  card.regs.write<reg::RAH>(index, {});
  card.regs.write<reg::RAL>(index, {});
  card.regs.flush();
}

// Linux, e1000_82575.c, igb_init_hw_82575: the other receive addresses, MTA, UTA.
void clear_filters(const IgbCard& card) {
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

bool groups_fit(const IgbCard& card, const Settings& settings) {
  return settings.unicast.size() + settings.multicast.size() < card.traits->exact_addresses;
}

// Linux, e1000_mac.c, igb_update_mc_addr_list.
HashTable group_table(const IgbCard& card, const Settings& settings) {
  HashTable table{};
  if (!groups_fit(card, settings)) add_hashes(table, hashes_of(settings.multicast));
  return table;
}

}  // namespace

void place_addresses(const IgbCard& card, PlacedSettings& settings) {
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

void write_addresses(const IgbCard& card, const PlacedSettings* from, const PlacedSettings& to) {
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

reg::RCTL::Setting promiscuity(bool promiscuous, bool all_multicast) {
  const std::uint32_t upe = promiscuous ? reg::RCTL::UPE.mask() : 0;
  const std::uint32_t mpe = promiscuous || all_multicast ? reg::RCTL::MPE.mask() : 0;
  return {reg::RCTL::UPE.mask() | reg::RCTL::MPE.mask(), upe | mpe};
}

namespace {

constexpr std::uint32_t kVlanType = 0x8100;

}  // namespace

// VFTA has one bit per VLAN: Linux, e1000_82575.c and e1000_mac.c, igb_vfta_set.
void write_vlans(const IgbCard& card, const VlanSet* before, const VlanSet& vlans) {
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
void write_vlan_stripping(const IgbCard& card, bool on) {
  const auto control = read_control(card);
  if (control.all_ones()) return;
  card.regs.write<reg::CTRL>(on ? control.with(reg::CTRL::VME) : control.without(reg::CTRL::VME));
}

// [I-EXTVLAN] The mode is on only while the type is right, so that no frame meets it with another type. Without the
// mode the type is that after a reset. DPDK, igb_ethdev.c, eth_igb_vlan_tpid_set and igb_vlan_hw_extend_enable; QEMU,
// igb_core.c, igb_mac_reg_init.
void write_outer_vlan_type(const IgbCard& card, std::optional<std::uint16_t> ether_type) {
  if (!ether_type) clear<reg::CTRL_EXT>(card, reg::CTRL_EXT::EXT_VLAN);
  card.regs.write<reg::VET>(reg::VET::TYPE(kVlanType) | reg::VET::OUTER_TYPE(ether_type.value_or(kVlanType)));
  if (ether_type) modify<reg::CTRL_EXT>(card, reg::CTRL_EXT::EXT_VLAN);
}

namespace {

constexpr std::uint32_t kMaxQueuesOfAPool = 2;

Result<void> check_addresses(const QueuePoolsConfig& config, const IgbCard& card) {
  std::set<MacAddress> all;
  for (const QueuePool& pool : config.pools) {
    for (const MacAddress& address : pool.addresses) {
      if (address == MacAddress{} || std::all_of(address.begin(), address.end(), [](auto b) { return b == 0xFF; })) {
        return refuse(card.name, fmt::format("pools: {} is not an address of a pool", to_string(address)),
                      "leave it out; QueuePool::broadcasts is the setting for broadcasts");
      }
      if (!all.insert(address).second) {
        return refuse(card.name, fmt::format("pools: {} is given twice", to_string(address)),
                      "give each address to one pool");
      }
    }
  }
  const std::size_t room = card.traits->exact_addresses - std::size_t{1};
  if (all.size() <= room) return {};
  return refuse(card.name, fmt::format("pools: {} addresses are more than {}", all.size(), room),
                "the card compares so many addresses besides the port's own");
}

Result<void> check_vlans(const QueuePoolsConfig& config, const IgbCard& card) {
  std::set<std::uint16_t> all;
  for (const QueuePool& pool : config.pools) {
    for (const std::uint16_t vlan : pool.vlans) {
      if (auto valid = check_vlan(card.name, vlan); !valid) return valid;
      all.insert(vlan);
    }
  }
  const std::size_t most = card.traits->pool_vlans - 1;  // besides VLAN 0
  if (all.size() > most) {
    return refuse(card.name, fmt::format("pools: {} VLANs are more than {}", all.size(), most),
                  "the card knows so many VLANs of pools");
  }
  const bool all_untagged =
      std::all_of(config.pools.begin(), config.pools.end(), [](const QueuePool& pool) { return pool.untagged; });
  if (!all.empty() || all_untagged) return {};
  return refuse(card.name, "pools: untagged = false, but no pool names a VLAN",
                "name a VLAN: only then does the card look at tags");
}

Result<void> check_pool_queues(const QueuePoolsConfig& config, std::uint32_t queues, const IgbCard& card) {
  for (std::size_t number = 0; number < config.pools.size(); ++number) {
    const std::uint32_t own = config.pools[number].queues;
    if (own < 1 || own > kMaxQueuesOfAPool) {
      return refuse(card.name, fmt::format("pools: pool {} cannot have {} queues", number, own),
                    "a pool has one or two queues");
    }
    const std::size_t last = number + (own - 1) * std::size_t{card.traits->pools};
    if (last < queues) continue;
    return refuse(
        card.name, fmt::format("pools: pool {} needs receive queue {}, and there are {}", number, last, queues),
        fmt::format("pool n has receive queue n, and with two queues n + {}: configure more queues, or set fewer pools",
                    card.traits->pools));
  }
  return {};
}

}  // namespace

Result<void> check_pools(const IgbCard& card, const QueuePoolsConfig& config, std::uint32_t queues) {
  const std::size_t pools = config.pools.size();
  if (pools > card.traits->pools) {
    return refuse(card.name, fmt::format("pools: {} are more than {}", pools, card.traits->pools),
                  "the card has so many pools");
  }
  if (auto fits = check_pool_queues(config, queues, card); !fits) return fits;
  if (pools != 0 && config.default_pool && *config.default_pool >= pools) {
    return refuse(card.name, fmt::format("default_pool = {} is not a pool", *config.default_pool),
                  "pools are counted from 0; nullopt means none");
  }
  if (queues_of_a_pool(config) > 1 && !card.traits->features.pool_rss) {
    return fail(ErrorCode::not_supported, fmt::format("{}: the card has no RSS within pools", card.name),
                "give each pool one queue");
  }
  if (auto fits = check_addresses(config, card); !fits) return fits;
  return check_vlans(config, card);
}

VlanSet pool_vlans(const QueuePoolsConfig& config) {
  VlanSet table;
  for (const QueuePool& pool : config.pools) {
    for (const std::uint16_t vlan : pool.vlans) table.set(vlan);
  }
  if (table.any()) table.set(0);
  return table;
}

std::uint32_t own_pools(const QueuePoolsConfig& config) noexcept {
  return !config.pools.empty() && config.default_pool ? 1U << *config.default_pool : 0;
}

namespace {

void write_addresses(const IgbCard& card, const QueuePoolsConfig& config) {
  std::uint32_t index = 1;  // 0 is the port's own
  for (std::uint32_t number = 0; number < config.pools.size(); ++number) {
    for (const MacAddress& address : config.pools[number].addresses) {
      write_address(card, index++, address, 1U << number);
    }
  }
}

// VLAN 0 is a priority tag, so its frames are those of no VLAN.
void write_vlans(const IgbCard& card, const QueuePoolsConfig& config) {
  const VlanSet table = pool_vlans(config);
  std::uint32_t index = 0;
  for (std::size_t number = 0; number < table.size(); ++number) {
    if (!table.test(number)) continue;
    const auto vlan = static_cast<std::uint16_t>(number);
    std::uint32_t pools = 0;
    for (std::uint32_t number_of_pool = 0; number_of_pool < config.pools.size(); ++number_of_pool) {
      const QueuePool& pool = config.pools[number_of_pool];
      const bool has = std::find(pool.vlans.begin(), pool.vlans.end(), vlan) != pool.vlans.end();
      if (vlan == 0 ? pool.untagged : has) pools |= 1U << number_of_pool;
    }
    card.regs.write<reg::VLVF>(index++, reg::VLVF::VLANID(vlan) | reg::VLVF::POOLSEL(pools) | reg::VLVF::VLANID_ENABLE);
  }
}

}  // namespace

// [I-POOLS] After clear_filters. RSS writes MRQC again if a pool has two queues. Linux, e1000_82575.c,
// igb_vmdq_set_replication_pf and igb_vmdq_set_loopback_pf, and igb_main.c, igb_setup_mrqc, igb_set_vmolr,
// igb_set_vf_mac and igb_vlvf_set.
void start_pools(const IgbCard& card, const Settings& settings) {
  const QueuePoolsConfig& config = settings.pools;
  if (config.pools.empty()) return;
  write_addresses(card, config);
  write_vlans(card, config);
  write_pool_settings(card, settings);
  reg::VT_CTL::Value control;
  if (config.default_pool) {
    control = control.with(reg::VT_CTL::DEFAULT_POOL(*config.default_pool));
  } else {
    control = control.with(reg::VT_CTL::DISABLE_DEFAULT_POOL);
  }
  if (config.replication) control = control.with(reg::VT_CTL::REPLICATION_EN);
  card.regs.write<reg::VT_CTL>(control);
  if (config.local_loopback) modify<reg::DTXSWC>(card, reg::DTXSWC::VMDQ_LOOPBACK_EN);
  card.regs.write<reg::MRQC>(reg::MRQC::VMDQ);
}

void write_pool_settings(const IgbCard& card, const Settings& settings) {
  const QueuePoolsConfig& config = settings.pools;
  const bool all_multicast = settings.promiscuous || settings.all_multicast;
  for (std::uint32_t number = 0; number < card.traits->pools; ++number) {
    reg::VMOLR::Value value = reg::VMOLR::RLPML(limit_bytes(card, receive_limit(settings))) | reg::VMOLR::LPE;
    if (settings.vlan_stripping) value = value.with(reg::VMOLR::STRVLAN);
    if (strips_fcs(settings)) value = value.with(reg::VMOLR::STRCRC);
    if (number < config.pools.size()) {
      const QueuePool& pool = config.pools[number];
      if (pool.untagged) value = value.with(reg::VMOLR::AUPE);
      if (pool.queues > 1) value = value.with(reg::VMOLR::RSSE);
      if (pool.broadcasts) value = value.with(reg::VMOLR::BAM);
      if (all_multicast) value = value.with(reg::VMOLR::MPME);
      if (all_multicast && !card.traits->features.pool_all_multicast) value = value.with(reg::VMOLR::ROMPE);
    }
    card.regs.write<reg::VMOLR>(number, value);
  }
  // The table of groups is not used otherwise.
  for (std::uint32_t word = 0; !card.traits->features.pool_all_multicast && word < reg::kMulticastTableWords; ++word) {
    card.regs.write<reg::MTA>(word, reg::MTA::Value(all_multicast ? ~std::uint32_t{0} : 0));
  }
  reg::RPLOLR::Value copies;
  if (settings.vlan_stripping) copies = copies.with(reg::RPLOLR::STRVLAN);
  if (strips_fcs(settings)) copies = copies.with(reg::RPLOLR::STRCRC);
  card.regs.write<reg::RPLOLR>(copies);
}

// [I-CRC] [I-RLPML] Linux, igb_main.c, igb_setup_rctl: strip the CRC, allow long packets up to RLPML, do not store bad
// packets, unless the configuration says otherwise (igb_set_features: NETIF_F_RXALL sets SBP). Broadcasts are accepted.
// The multicast hash uses address bits 47:36. [I-LOOPBACK] Writes the whole register, so that no bit depends on a read.
void write_receive_control(const IgbCard& card, const Settings& settings, bool all_groups) {
  const bool filters_vlans =
      !settings.functions.empty() || pool_vlans(settings.pools).any() || settings.vlans.has_value();
  reg::RCTL::Setting bits = reg::RCTL::BAM | reg::RCTL::LPE | reg::RCTL::RXEN |
                            promiscuity(settings.promiscuous, settings.all_multicast || all_groups) |
                            (settings.loopback == LoopbackMode::mac ? reg::RCTL::LBM_MAC : reg::RCTL::LBM_NONE);
  if (strips_fcs(settings)) bits = bits | reg::RCTL::SECRC;
  if (settings.keep_bad_frames) bits = bits | reg::RCTL::SBP;
  if (filters_vlans) bits = bits | reg::RCTL::VFE;
  card.regs.write<reg::RCTL>(bits);
  card.regs.bar().flush();
}

}  // namespace pollux::drivers::igb
