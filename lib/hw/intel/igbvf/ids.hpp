// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "hw/intel/descriptors.hpp"
#include "hw/intel/features.hpp"

/// Virtual functions, by their PCI identifiers. Linux igbvf, netdev.c, igbvf_pci_tbl; QEMU, hw/net/igbvf.c.
namespace pollux::hw::igbvf {

using intel::kVendorId;

/// The properties in which virtual functions of cards differ. The defaults are those of an 82576's.
struct CardTraits {
  std::uint16_t id = 0;
  std::string_view name;
  intel::Subsystem subsystem = {};  ///< of a row for one maker's cards
  /// [I-VFQUEUE] A virtual function has two receive and two transmit queues. As Linux's igb configures it, the second
  /// receive queue gets no frames.
  std::uint16_t queues = 1;
  std::uint32_t max_frame = intel::kMaxFrameBytes;  ///< bytes with FCS
  intel::CardFeatures features = {};
};

inline constexpr std::array<CardTraits, 2> kCards{{
    {.id = 0x10CA, .name = "82576 virtual function"},
    {.id = 0x10CA,
     .name = "82576 virtual function",
     .subsystem = intel::kQemuSubsystem,
     .features = intel::kQemuFeatures},
}};

/// The traits of a virtual function; nullptr for any other device.
[[nodiscard]] constexpr const CardTraits* find_card(const PciIdentity& card) noexcept {
  return intel::find_row(kCards, card);
}

}  // namespace pollux::hw::igbvf
