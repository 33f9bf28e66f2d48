// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "hw/intel/igb/limits.hpp"

/// PCI identifiers of the 82576. Linux igb, e1000_hw.h; QEMU, hw/net/igb_regs.h.
namespace pollux::hw::igb {

inline constexpr std::uint16_t kVendorId = 0x8086;

/// The subsystem ids of QEMU's igb, which only QEMU's card has: QEMU, include/hw/pci/pci.h,
/// PCI_SUBVENDOR_ID_REDHAT_QUMRANET and PCI_SUBDEVICE_ID_QEMU, the defaults of a device that sets none (hw/net/igb.c).
inline constexpr std::uint16_t kQemuSubsystemVendor = 0x1AF4;
inline constexpr std::uint16_t kQemuSubsystem = 0x1100;

/// The medium of a port.
enum class Media : std::uint8_t { copper, fiber, serdes };

/// The properties in which device ids differ. The driver and the model use them.
struct CardTraits {
  std::uint16_t id;
  std::string_view name;
  Media media;
  std::uint16_t queues = kRxQueues;                 ///< receive queues, and as many transmit queues
  std::uint32_t exact_addresses = kExactAddresses;  ///< RAL and RAH; index 0 is the port's own
  std::uint32_t max_frame = kMaxFrameBytes;         ///< bytes with FCS
};

inline constexpr std::array<CardTraits, 8> kCards{{
    {0x10C9, "82576", Media::copper},
    {0x10E6, "82576 fiber", Media::fiber},
    {0x10E7, "82576 SerDes", Media::serdes},
    {0x10E8, "82576 quad copper", Media::copper},
    {0x1526, "82576 quad copper ET2", Media::copper},
    {0x150A, "82576NS", Media::copper},
    {0x1518, "82576NS SerDes", Media::serdes},
    {0x150D, "82576 quad SerDes", Media::serdes},
}};

/// The traits of an 82576's physical function; nullptr for any other device.
[[nodiscard]] constexpr const CardTraits* find_card(std::uint16_t vendor, std::uint16_t device) noexcept {
  if (vendor != kVendorId) return nullptr;
  for (const CardTraits& card : kCards) {
    if (card.id == device) return &card;
  }
  return nullptr;
}

}  // namespace pollux::hw::igb
