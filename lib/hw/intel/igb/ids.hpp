// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "hw/intel/igb/limits.hpp"
#include "hw/intel/igb/nvm.hpp"
#include "hw/intel/igb/phy.hpp"

/// PCI identifiers of the 82576. Linux igb, e1000_hw.h; QEMU, hw/net/igb_regs.h.
namespace pollux::hw::igb {

inline constexpr std::uint16_t kVendorId = 0x8086;

/// The medium of a port.
enum class Media : std::uint8_t { copper, fiber, serdes };

/// Counters that a copper port must not read. [I-SCVPC] Linux igb, e1000_82575.c, igb_clear_hw_cntrs_82575.
inline constexpr std::array<std::string_view, 1> kUnreadOnCopper{"SCVPC"};

/// The properties in which device ids differ. The driver and the model use them. The defaults are those of an 82576 for
/// copper.
struct CardTraits {
  std::uint16_t id = 0;
  std::string_view name;
  Media media = Media::copper;
  std::uint16_t queues = kRxQueues;                 ///< receive queues, and as many transmit queues
  std::uint32_t exact_addresses = kExactAddresses;  ///< RAL and RAH; index 0 is the port's own
  std::uint32_t max_frame = kMaxFrameBytes;         ///< bytes with FCS
  phy::PhyTraits phy = {};                          ///< of a copper port
  nvm::NvmTraits nvm = {};
  std::span<const std::string_view> unread_counters = kUnreadOnCopper;  ///< names in kStatisticsRegisters
};

inline constexpr std::array<CardTraits, 8> kCards{{
    {.id = 0x10C9, .name = "82576"},
    {.id = 0x10E6, .name = "82576 fiber", .media = Media::fiber, .unread_counters = {}},
    {.id = 0x10E7, .name = "82576 SerDes", .media = Media::serdes, .unread_counters = {}},
    {.id = 0x10E8, .name = "82576 quad copper"},
    {.id = 0x1526, .name = "82576 quad copper ET2"},
    {.id = 0x150A, .name = "82576NS"},
    {.id = 0x1518, .name = "82576NS SerDes", .media = Media::serdes, .unread_counters = {}},
    {.id = 0x150D, .name = "82576 quad SerDes", .media = Media::serdes, .unread_counters = {}},
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
