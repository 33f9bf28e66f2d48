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

// Linux, e1000_82575.c, igb_init_hw_82575: the other receive addresses, MTA, UTA.
void clear_filters(const IgbCard& card) {
  clear_addresses(card);
  for (std::uint32_t i = 0; i < reg::kUnicastTableWords; ++i) card.regs.write<reg::UTA>(i, {});
  card.regs.flush();
}

reg::RCTL::Setting promiscuity(bool promiscuous, bool all_multicast) {
  const std::uint32_t upe = promiscuous ? reg::RCTL::UPE.mask() : 0;
  const std::uint32_t mpe = promiscuous || all_multicast ? reg::RCTL::MPE.mask() : 0;
  return {reg::RCTL::UPE.mask() | reg::RCTL::MPE.mask(), upe | mpe};
}

namespace {

constexpr std::uint32_t kVlanType = 0x8100;

}  // namespace

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

// Linux, e1000_82575.c, igb_vmdq_set_loopback_pf and igb_vmdq_set_anti_spoofing_pf: TXSWC of an I350 has the fields of
// DTXSWC.
void write_tx_switch(const IgbCard& card, reg::DTXSWC::Value value) {
  if (card.traits->pool_dma_strips) {
    card.regs.write<reg::TXSWC>(reg::TXSWC::Value(value.raw()));
  } else {
    card.regs.write<reg::DTXSWC>(value);
  }
}

// Linux, igb_main.c, igb_set_vf_vlan_strip (DVMOLR of an I350), and DPDK, igb_rxtx.c, eth_igb_rx_init, for the FCS.
void write_queue_strips(const IgbCard& card, std::uint32_t queue, bool tags, bool fcs) {
  if (!card.traits->later_registers) return;
  reg::DVMOLR::Value value;
  if (tags && card.traits->pool_dma_strips) value = value.with(reg::DVMOLR::STRVLAN);
  if (fcs) value = value.with(reg::DVMOLR::STRCRC);
  card.regs.write<reg::DVMOLR>(queue, value);
}

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
  if (config.local_loopback) write_tx_switch(card, reg::DTXSWC::VMDQ_LOOPBACK_EN);
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
    write_queue_strips(card, number, settings.vlan_stripping, strips_fcs(settings));
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
  const bool has_pools = !settings.pools.pools.empty() || !settings.functions.empty();
  for (std::uint32_t queue = 0; !has_pools && queue < card.traits->queues; ++queue) {
    write_queue_strips(card, queue, false, strips_fcs(settings));
  }
  card.regs.write<reg::RCTL>(bits);
  card.regs.bar().flush();
}

}  // namespace pollux::drivers::igb
