// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "pollux/device/device.hpp"

namespace pollux::hw::intel {

inline constexpr std::uint16_t kVendorId = 0x8086;

/// PCI ids of a card's maker.
struct Subsystem {
  std::uint16_t vendor = 0;
  std::uint16_t device = 0;

  [[nodiscard]] bool operator==(const Subsystem&) const = default;
};

/// What implementations of these cards, and of their virtual functions, have or lack. The defaults are the silicon's.
struct CardFeatures {
  bool counts_all_missed = true;   ///< [I-OVERRUN] frames without a descriptor, and those that wait outside the card
  bool segments_udp = true;        ///< into datagrams; otherwise into IP fragments
  bool segments_tunnels = true;    ///< what is behind the inner IP header
  bool flow_filters = true;        ///< [I-FTQF] they select a queue
  bool pool_rss = true;            ///< pools may have several queues
  bool pool_all_multicast = true;  ///< [I-POOLS, I-UTA] VMOLR.MPME works; otherwise a pool has the hash tables alone
  bool link_control = true;        ///< the PHY has forced modes, and can be powered down
  bool phy_loopback = true;
  bool nvm_pins = true;  ///< [I-SPI] EECD.GNT is granted
};

/// QEMU's cards have the default subsystem ids of its devices (include/hw/pci/pci.h, PCI_SUBVENDOR_ID_REDHAT_QUMRANET
/// and PCI_SUBDEVICE_ID_QEMU), which no other card has.
inline constexpr Subsystem kQemuSubsystem{.vendor = 0x1AF4, .device = 0x1100};
/// hw/net/igb_core.c: the segments, net_tx_pkt.c; headers, igb_rx_use_ps_descriptor; RSS, igb_rss_enabled; filters and
/// pools, igb_receive_assign; the PHY, igb_set_phy_ctrl.
inline constexpr CardFeatures kQemuFeatures{.counts_all_missed = false,
                                            .segments_udp = false,
                                            .segments_tunnels = false,
                                            .flow_filters = false,
                                            .pool_rss = false,
                                            .pool_all_multicast = false,
                                            .link_control = false,
                                            .phy_loopback = false,
                                            .nvm_pins = false};

/// The row of traits of a card: that of its subsystem, or else the one that names none. nullptr: there is none.
template <class Row, std::size_t N>
[[nodiscard]] constexpr const Row* find_row(const std::array<Row, N>& rows, const PciIdentity& card) noexcept {
  const Row* found = nullptr;
  for (const Row& row : rows) {
    if (card.vendor != kVendorId || card.device != row.id) continue;
    if (row.subsystem == Subsystem{card.subsystem_vendor, card.subsystem_device}) return &row;
    if (row.subsystem == Subsystem{}) found = &row;
  }
  return found;
}

}  // namespace pollux::hw::intel
