// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "hw/intel/features.hpp"
#include "hw/intel/gigabit/limits.hpp"
#include "hw/intel/gigabit/traits.hpp"

/// The 82574 and the cards of chipsets that Linux's e1000e drives, too, by their PCI identifiers. Linux e1000e, hw.h;
/// QEMU, hw/net/e1000e.c.
namespace pollux::hw::e1000e {

using intel::kVendorId;

/// The registers are in BAR 0, which has 128 KiB (Linux e1000e, netdev.c; QEMU, e1000e.c, E1000E_MMIO_SIZE).
using gigabit::kRegisterBar;
using gigabit::kRegisterBytes;

/// The properties in which cards differ. The defaults are an 82574's.
struct CardTraits {
  std::uint16_t id = 0;
  std::string_view name;
  intel::Subsystem subsystem = {};  ///< of a row for one maker's cards
  bool driven = true;
  std::uint16_t queues = 2;        ///< in each direction
  std::uint32_t max_frame = 9234;  ///< bytes with FCS: Linux e1000e, hw.h, DEFAULT_JUMBO
  gigabit::FamilyTraits family = {};
};

/// 82574: Linux e1000e, 82571.c (e1000_82574_info).
inline constexpr gigabit::FamilyTraits k82574{
    .exact_addresses = 16,
    .ownership = gigabit::Ownership::mdio,
    .phy = {.id = gigabit::phy::bm::kId,
            .kind = gigabit::phy::Kind::bm,
            .paging = gigabit::phy::bm::kPaging,
            .reports_configuration = false},
    .nvm = {.alternate_mac_pointer = {}},
    .features = {.segments_udp = false, .segments_tunnels = false, .nvm_pins = false},
    .has_link_mode = false,
    .wake_control = 1U << 21};  // CTRL.EN_PHY_PWR_MGMT: Linux e1000e, netdev.c, __e1000_shutdown
/// QEMU's 82574 has one mode of the link, and does not count frames without a descriptor (hw/net/e1000e_core.c,
/// e1000e_get_status and e1000e_receive_internal).
inline constexpr gigabit::FamilyTraits kQemu82574 = [] {
  gigabit::FamilyTraits family = k82574;
  family.features = intel::kQemuFeatures;
  return family;
}();
/// The subsystem of QEMU's card: hw/net/e1000e.c, e1000e_properties.
inline constexpr intel::Subsystem kQemuSubsystem{.vendor = kVendorId, .device = 0};

inline constexpr std::array kCards{
    CardTraits{.id = 0x10D3, .name = "82574L", .family = k82574},
    CardTraits{.id = 0x10D3, .name = "82574L", .subsystem = kQemuSubsystem, .family = kQemu82574},
    CardTraits{.id = 0x10F6, .name = "82574LA", .family = k82574},
    CardTraits{.id = 0x153A, .name = "I217-LM", .driven = false},
    CardTraits{.id = 0x153B, .name = "I217-V", .driven = false},
    CardTraits{.id = 0x155A, .name = "I218-LM", .driven = false},
    CardTraits{.id = 0x1559, .name = "I218-V", .driven = false},
    CardTraits{.id = 0x15A0, .name = "I218-LM", .driven = false},
    CardTraits{.id = 0x15A1, .name = "I218-V", .driven = false},
    CardTraits{.id = 0x15A2, .name = "I218-LM", .driven = false},
    CardTraits{.id = 0x15A3, .name = "I218-V", .driven = false},
    CardTraits{.id = 0x156F, .name = "I219-LM", .driven = false},
    CardTraits{.id = 0x1570, .name = "I219-V", .driven = false},
    CardTraits{.id = 0x15B7, .name = "I219-LM", .driven = false},
    CardTraits{.id = 0x15B8, .name = "I219-V", .driven = false},
    CardTraits{.id = 0x15BB, .name = "I219-LM", .driven = false},
    CardTraits{.id = 0x15BC, .name = "I219-V", .driven = false},
    CardTraits{.id = 0x15BD, .name = "I219-LM", .driven = false},
    CardTraits{.id = 0x15BE, .name = "I219-V", .driven = false},
};

/// The traits of a card; nullptr for any other device.
[[nodiscard]] constexpr const CardTraits* find_card(const PciIdentity& card) noexcept {
  return intel::find_row(kCards, card);
}

}  // namespace pollux::hw::e1000e
