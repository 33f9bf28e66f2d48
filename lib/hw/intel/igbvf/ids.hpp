// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "hw/intel/descriptors.hpp"
#include "hw/intel/features.hpp"

/// Virtual functions, by their PCI identifiers. Linux igbvf, netdev.c, igbvf_pci_tbl, and igbvf_probe for the tags
/// (IGBVF_FLAG_RX_LB_VLAN_BSWAP); QEMU, hw/net/igbvf.c.
namespace pollux::hw::igbvf {

using intel::kVendorId;

/// The properties in which virtual functions of cards differ. The defaults are those of an 82576's.
struct CardTraits {
  std::uint16_t id = 0;
  std::string_view name;
  intel::Subsystem subsystem = {};  ///< of a row for one maker's cards
  /// [I-VFQUEUE] A virtual function of an 82576 has two receive and two transmit queues. As Linux's igb configures it,
  /// the second receive queue gets no frames. One of an I350 has one.
  std::uint16_t queues = 1;
  std::uint32_t max_frame = intel::kMaxFrameBytes;  ///< bytes with FCS
  bool swaps_looped_tags = false;                   ///< [E-LOOPTAG] as igb::Errata has it
  intel::CardFeatures features = {};
};

inline constexpr std::array<CardTraits, 3> kCards{{
    {.id = 0x10CA, .name = "82576 virtual function"},
    {.id = 0x10CA,
     .name = "82576 virtual function",
     .subsystem = intel::kQemuSubsystem,
     .features = intel::kQemuFeatures},
    {.id = 0x1520, .name = "I350 virtual function", .swaps_looped_tags = true},
}};

/// The traits of a virtual function; nullptr for any other device.
[[nodiscard]] constexpr const CardTraits* find_card(const PciIdentity& card) noexcept {
  return intel::find_row(kCards, card);
}

}  // namespace pollux::hw::igbvf
