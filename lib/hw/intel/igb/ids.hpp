// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <span>
#include <string_view>

#include "hw/intel/features.hpp"
#include "hw/intel/gigabit/traits.hpp"
#include "hw/intel/igb/limits.hpp"
#include "hw/intel/igb/nvm.hpp"
#include "hw/intel/igb/phy.hpp"

/// The cards of the family of the 82576, by their PCI identifiers. Linux igb, e1000_hw.h; QEMU, hw/net/igb_regs.h.
namespace pollux::hw::igb {

using intel::kVendorId;

/// The medium of a port.
enum class Media : std::uint8_t { copper, fiber, serdes };

/// Counters that a copper port must not read. [I-SCVPC] Linux igb, e1000_82575.c, igb_clear_hw_cntrs_82575.
inline constexpr std::array<std::string_view, 1> kUnreadOnCopper{"SCVPC"};

/// The filters for flow rules and time stamps. 0: the card has none of the kind. [I-FTQF] DPDK, e1000_ethdev.h.
struct FilterTraits {
  std::uint32_t ether_types = 8;  ///< ETQF
  std::uint32_t five_tuples = 8;  ///< FTQF
  std::uint32_t syns = 1;         ///< SYNQF
  std::uint16_t low_queues = 8;   ///< the queues, from the first, that EtherType and SYN filters reach: three bits
};

/// The clock: SYSTIM counts 2^-shift ns. TIMINCA adds `increment` every `tick`. Linux, igb_ptp.c, INCVALUE_82576,
/// INCPERIOD_82576 and igb_ptp_init.
struct ClockTraits {
  unsigned shift = 19;
  std::uint32_t increment = 16U << 19;           ///< at the oscillator's own frequency
  std::uint32_t max_increment = (1U << 24) - 1;  ///< TIMINCA.VALUE has 24 bits
  std::chrono::nanoseconds tick{16};
};

/// The properties in which cards differ. The driver and the model use them. The defaults are those of an 82576 for
/// copper.
struct CardTraits {
  std::uint16_t id = 0;
  std::string_view name;
  intel::Subsystem subsystem = {};  ///< of a row for one maker's cards
  Media media = Media::copper;
  std::uint16_t queues = kRxQueues;  ///< receive queues, and as many transmit queues
  std::uint16_t pools = kPools;      ///< pool n has the queues n and n + pools; 1: the card has no pools
  std::uint32_t ivar_distance = 8;   ///< IVAR has the vectors of a queue and of the one so far behind it
  std::uint32_t msix_vectors = kMsixVectors;
  std::uint32_t exact_addresses = kExactAddresses;  ///< RAL and RAH; index 0 is the port's own
  std::uint32_t pool_vlans = 32;                    ///< VLVF
  std::uint32_t max_frame = kMaxFrameBytes;         ///< bytes with FCS
  std::uint32_t receive_buffer = 64 * 1024;         ///< bytes after power-on: QEMU, hw/net/igb_core.c, igb_mac_reg_init
  std::uint32_t transmit_buffer = 40 * 1024;
  std::uint32_t fastest_link = 1000;  ///< Mb/s
  FilterTraits filters = {};
  ClockTraits clock = {};
  phy::PhyTraits phy = {};  ///< of a copper port
  nvm::NvmTraits nvm = {};
  std::span<const std::string_view> unread_counters = kUnreadOnCopper;  ///< names in kStatisticsRegisters
  intel::CardFeatures features = {};
};

inline constexpr std::array<CardTraits, 9> kCards{{
    {.id = 0x10C9, .name = "82576"},
    {.id = 0x10C9,
     .name = "82576",
     .subsystem = intel::kQemuSubsystem,
     .msix_vectors = 10,
     .features = intel::kQemuFeatures},
    {.id = 0x10E6, .name = "82576 fiber", .media = Media::fiber, .unread_counters = {}},
    {.id = 0x10E7, .name = "82576 SerDes", .media = Media::serdes, .unread_counters = {}},
    {.id = 0x10E8, .name = "82576 quad copper"},
    {.id = 0x1526, .name = "82576 quad copper ET2"},
    {.id = 0x150A, .name = "82576NS"},
    {.id = 0x1518, .name = "82576NS SerDes", .media = Media::serdes, .unread_counters = {}},
    {.id = 0x150D, .name = "82576 quad SerDes", .media = Media::serdes, .unread_counters = {}},
}};

/// What a card has in common with others of the family.
[[nodiscard]] constexpr gigabit::FamilyTraits family_of(const CardTraits& card) noexcept {
  return {.exact_addresses = card.exact_addresses, .phy = card.phy, .nvm = card.nvm, .features = card.features};
}

/// Where IVAR has the vectors of a queue.
struct QueueEntry {
  std::uint32_t index = 0;
  bool high = false;  ///< in the upper half of the register
};
[[nodiscard]] constexpr QueueEntry ivar_entry(std::uint32_t queue, std::uint32_t distance) noexcept {
  return {.index = queue / (2 * distance) * distance + queue % distance, .high = queue / distance % 2 != 0};
}

/// The traits of an 82576's physical function; nullptr for any other device.
[[nodiscard]] constexpr const CardTraits* find_card(const PciIdentity& card) noexcept {
  return intel::find_row(kCards, card);
}

}  // namespace pollux::hw::igb
