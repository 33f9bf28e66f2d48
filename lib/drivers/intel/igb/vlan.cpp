// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igb/vlan.hpp"

namespace pollux::drivers::igb {
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
