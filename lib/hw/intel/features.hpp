// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>

namespace pollux::hw::intel {

/// What implementations of these cards, and of their virtual functions, have or lack. The defaults are the silicon's.
struct CardFeatures {
  std::uint16_t subsystem_vendor = 0;
  std::uint16_t subsystem_device = 0;
  bool counts_all_missed = true;   ///< [I-OVERRUN] frames without a descriptor, and those that wait outside the card
  bool copies_headers = true;      ///< SRRCTL.DESCTYPE 3 and 4
  bool segments_udp = true;        ///< into datagrams; otherwise into IP fragments
  bool segments_tunnels = true;    ///< what is behind the inner IP header
  bool flow_filters = true;        ///< [I-FTQF] they select a queue
  bool pool_rss = true;            ///< pools may have several queues
  bool pool_all_multicast = true;  ///< [I-POOLS, I-UTA] VMOLR.MPME works; otherwise a pool has the hash tables alone
  bool link_control = true;        ///< the PHY has forced modes, and can be powered down
  bool phy_loopback = true;
  bool nvm_pins = true;  ///< [I-SPI] EECD.GNT is granted
};

/// The silicon first. QEMU's cards have the default subsystem ids of its devices (include/hw/pci/pci.h,
/// PCI_SUBVENDOR_ID_REDHAT_QUMRANET and PCI_SUBDEVICE_ID_QEMU), which no other card has. hw/net/igb_core.c: the
/// segments, net_tx_pkt.c; headers, igb_rx_use_ps_descriptor; RSS, igb_rss_enabled; filters and pools,
/// igb_receive_assign; the PHY, igb_set_phy_ctrl.
inline constexpr std::array<CardFeatures, 2> kCardFeatures{{
    {},
    {.subsystem_vendor = 0x1AF4,
     .subsystem_device = 0x1100,
     .counts_all_missed = false,
     .copies_headers = false,
     .segments_udp = false,
     .segments_tunnels = false,
     .flow_filters = false,
     .pool_rss = false,
     .pool_all_multicast = false,
     .link_control = false,
     .phy_loopback = false,
     .nvm_pins = false},
}};

/// Those of the card with these ids; the silicon's unless there is a row.
[[nodiscard]] constexpr const CardFeatures& find_features(std::uint16_t subsystem_vendor,
                                                          std::uint16_t subsystem_device) noexcept {
  for (const CardFeatures& card : kCardFeatures) {
    if (card.subsystem_vendor == subsystem_vendor && card.subsystem_device == subsystem_device) return card;
  }
  return kCardFeatures[0];
}

}  // namespace pollux::hw::intel
