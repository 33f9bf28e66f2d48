// SPDX-License-Identifier: BSD-3-Clause
// Pools, and the switch between them.
#include <bit>

#include "hw/intel/igb/limits.hpp"
#include "models/intel/igb/filter.hpp"
#include "models/intel/igb/frame.hpp"

namespace pollux::models::igb {
namespace {

constexpr std::uint32_t kAllPools = bit(hw::kPools) - 1;
constexpr std::uint32_t kUntaggedLimit = 1518;
constexpr std::size_t kSourceAddress = 6;
constexpr std::uint32_t kVlanMask = 0xFFF;
/// The bit of an entry of the redirection table that selects a pool's second queue: Linux, igb_main.c,
/// igb_setup_mrqc and igb_write_rss_indir_tbl (shift 3). QEMU tests bit 0.
constexpr std::uint32_t kSecondQueue = 0x8;

}  // namespace

// Initial values: QEMU, igb_core.c, igb_mac_reg_init.
void Pools::reset() {
  registers_.set<hw::VFRE>(hw::VFRE::POOLS(kAllPools));
  registers_.set<hw::VFTE>(hw::VFTE::POOLS(kAllPools));
  registers_.set<hw::RPLOLR>(hw::RPLOLR::STRCRC);
  for (std::uint32_t pool = 0; pool < hw::kPools; ++pool) {
    registers_.set<hw::VMOLR>(pool, hw::VMOLR::RLPML(hw::kMaxFrameBytes) | hw::VMOLR::STRCRC);
    if (registers_.traits().later_registers) registers_.set<hw::DVMOLR>(pool, hw::DVMOLR::STRCRC);
  }
}

bool Pools::enabled() const { return has_pools(registers_.get<hw::MRQC>()); }

std::uint32_t Pools::with(hw::VMOLR::Setting setting) const {
  std::uint32_t pools = 0;
  for (std::uint32_t pool = 0; pool < hw::kPools; ++pool) {
    if (registers_.get<hw::VMOLR>(pool).has(setting)) pools |= bit(pool);
  }
  return pools;
}

std::uint32_t Pools::by_address(std::span<const std::byte> frame, bool& exact) const {
  if (is_broadcast(frame)) return with(hw::VMOLR::BAM);
  const std::uint32_t pools = filter_.exact_pools(frame, 0);
  exact = pools != 0;
  if (!is_multicast(frame)) return exact || !filter_.in_table(frame) ? pools : with(hw::VMOLR::ROPE);
  return pools | with(hw::VMOLR::MPME) | (filter_.in_table(frame) ? with(hw::VMOLR::ROMPE) : 0);
}

// VLVF has the pools of a VLAN. A pool gets untagged frames only with VMOLR.AUPE. A VLAN that no entry names goes to an
// 82576's default pool, and to those pools of an I350 that have VMOLR.VPE: FreeBSD, if_igb_iov.c, igb_iov_rebuild_vlan.
std::uint32_t Pools::by_vlan(const Headers& headers) const {
  if (!registers_.get<hw::RCTL>().has(hw::RCTL::VFE)) return kAllPools;
  if (!headers.tagged) return with(hw::VMOLR::AUPE);
  return members_of(headers.vlan) | (registers_.traits().pool_dma_strips ? with(hw::VMOLR::VPE) : 0);
}

std::uint32_t Pools::members_of(std::uint16_t tag) const {
  std::uint32_t pools = 0;
  for (std::uint32_t i = 0; i < hw::VLVF::kCount; ++i) {
    const hw::VLVF::Value entry = registers_.get<hw::VLVF>(i);
    const bool matches = entry.get(hw::VLVF::VLANID) == (tag & kVlanMask);
    if (matches && entry.has(hw::VLVF::VLANID_ENABLE)) pools |= entry.get(hw::VLVF::POOLSEL);
  }
  return pools;
}

std::uint32_t Pools::longer_than_limit(std::size_t bytes, const Headers& headers) const {
  const std::size_t fixed = kUntaggedLimit + headers.tag_bytes;
  std::uint32_t pools = 0;
  for (std::uint32_t pool = 0; pool < hw::kPools; ++pool) {
    const hw::VMOLR::Value limits = registers_.get<hw::VMOLR>(pool);
    if (bytes > (limits.has(hw::VMOLR::LPE) ? limits.get(hw::VMOLR::RLPML) : fixed)) pools |= bit(pool);
  }
  return pools;
}

Pools::Choice Pools::choose(std::span<const std::byte> frame, const Headers& headers, From from,
                            std::uint32_t source) const {
  const hw::VT_CTL::Value control = registers_.get<hw::VT_CTL>();
  const bool group = is_multicast(frame);
  bool exact = false;
  const std::uint32_t of_vlan = by_vlan(headers);
  Choice choice{.pools = by_address(frame, exact) & of_vlan};
  choice.only_inside = exact && !group && choice.pools != 0;
  const std::uint32_t default_pool = bit(control.get(hw::VT_CTL::DEFAULT_POOL));
  const bool has_default = from == From::wire && !control.has(hw::VT_CTL::DISABLE_DEFAULT_POOL) &&
                           (of_vlan != 0 || !registers_.traits().pool_dma_strips);
  if (choice.pools == 0 && !group && has_default) choice.pools = default_pool;
  if (std::popcount(choice.pools) > 1 && !control.has(hw::VT_CTL::REPLICATION_EN)) {
    choice.pools &= (choice.pools & default_pool) != 0 ? default_pool : ~(choice.pools - 1);  // else the lowest
  }
  const hw::DTXSWC::Value tx_switch = this->tx_switch();
  if (from == From::pool && (tx_switch.get(hw::DTXSWC::LOCAL_LOOPBACK) & bit(source)) == 0) {
    choice.pools &= ~bit(source);
  }
  choice.pools &= registers_.get<hw::VFRE>().get(hw::VFRE::POOLS);
  const std::uint32_t too_long = longer_than_limit(frame.size() + hw::kCrcBytes, headers);
  choice.too_long = choice.pools != 0 && (choice.pools & ~too_long) == 0;
  choice.pools &= ~too_long;
  return choice;
}

std::uint32_t Pools::queue(std::uint32_t pool, std::uint32_t entry) const {
  const bool spreads =
      registers_.get<hw::MRQC>().has(hw::MRQC::VMDQ_RSS) && registers_.get<hw::VMOLR>(pool).has(hw::VMOLR::RSSE);
  return spreads && (entry & kSecondQueue) != 0 ? pool + hw::kPools : pool;
}

// CTRL.VME is not used with pools. QEMU, igb_core.c, igb_rx_strip_vlan, which cites the 82576 datasheet, 7.10.3.8.
// On an I350 DVMOLR decides for copies, too (Linux, igb_main.c, igb_vmm_control and igb_set_vf_vlan_strip).
bool Pools::strips_tag(std::uint32_t pool, bool replicated) const {
  if (registers_.traits().pool_dma_strips) return registers_.get<hw::DVMOLR>(pool).has(hw::DVMOLR::STRVLAN);
  return replicated ? registers_.get<hw::RPLOLR>().has(hw::RPLOLR::STRVLAN)
                    : registers_.get<hw::VMOLR>(pool).has(hw::VMOLR::STRVLAN);
}

bool Pools::may_send(std::uint32_t pool) const {
  return !enabled() || (registers_.get<hw::VFTE>().get(hw::VFTE::POOLS) & bit(pool)) != 0;
}

/// TXSWC of an I350 has the fields of DTXSWC.
hw::DTXSWC::Value Pools::tx_switch() const {
  return registers_.traits().pool_dma_strips ? hw::DTXSWC::Value(registers_.get<hw::TXSWC>().raw())
                                             : registers_.get<hw::DTXSWC>();
}

bool Pools::switches() const { return enabled() && tx_switch().has(hw::DTXSWC::VMDQ_LOOPBACK_EN); }

bool Pools::forged(std::span<const std::byte> frame, std::uint32_t pool) const {
  if (!enabled() || (tx_switch().get(hw::DTXSWC::MAC_SPOOF) & bit(pool)) == 0) return false;
  return (filter_.exact_pools(frame, kSourceAddress) & bit(pool)) == 0;
}

bool Pools::foreign_vlan(std::uint16_t tag, std::uint32_t pool) const {
  const bool checked = enabled() && (tx_switch().get(hw::DTXSWC::VLAN_SPOOF) & bit(pool)) != 0;
  return checked && (tag & kVlanMask) != 0 && (members_of(tag) & bit(pool)) == 0;
}

}  // namespace pollux::models::igb
