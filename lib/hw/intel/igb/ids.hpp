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

/// The filters for flow rules and time stamps. 0: the card has none of the kind. [I-FTQF] DPDK, e1000_ethdev.h and
/// igb_ethdev.c, igb_inject_2uple_filter.
struct FilterTraits {
  std::uint32_t ether_types = 8;  ///< ETQF
  std::uint32_t five_tuples = 8;  ///< FTQF
  /// Five-tuple filters compare addresses and the source port, too. On other cards these registers (TTQF) have the
  /// protocol and the destination port alone, and the bits that would ignore the others are always set.
  bool tuples_have_sources = true;
  std::uint32_t syns = 1;        ///< SYNQF
  std::uint16_t low_queues = 8;  ///< the queues, from the first, that EtherType and SYN filters reach: three bits
};

/// What SYSTIM counts. Linux, igb_ptp.c, igb_ptp_read_82576, _82580 and _i210.
enum class ClockFormat : std::uint8_t {
  parts,        ///< 2^-shift ns, in 64 bits
  nanoseconds,  ///< in 40 bits
  seconds,      ///< SYSTIMH has seconds, SYSTIML the nanoseconds of one
};

/// How many nanoseconds before the wire a frame is stamped when it is sent, and how many after it when it is received,
/// at 10, 100 and 1000 Mb/s. [I-LATENCY] Linux, igb.h, IGB_I210_TX_LATENCY_10 and so on.
struct StampLatency {
  std::array<std::uint16_t, 3> sent{};
  std::array<std::uint16_t, 3> received{};
};

/// The clock. A card with the format `parts` adds `increment` of TIMINCA in every `tick`; the others add `tick` ns and
/// TIMINCA * 2^-32 ns, whose highest bit is the sign. Linux, igb_ptp.c, INCVALUE_82576, INCPERIOD_82576,
/// igb_ptp_adjfine_82580 and igb_ptp_init.
struct ClockTraits {
  ClockFormat format = ClockFormat::parts;
  unsigned shift = 19;
  std::uint32_t increment = 16U << 19;           ///< at the oscillator's own frequency
  std::uint32_t max_increment = (1U << 24) - 1;  ///< TIMINCA.VALUE has 24 bits
  std::chrono::nanoseconds tick{16};
  StampLatency latency = {};
};

/// RXPBS and TXPBS. On cards whose sizes are not adjustable, the registers have codes or further fields, and software
/// leaves them.
struct BufferTraits {
  bool adjustable = true;
  std::uint32_t receive = 64;  ///< the values after power-on: QEMU, hw/net/igb_core.c, igb_mac_reg_init
  std::uint32_t transmit = 40;
};

/// Errata that some cards have. [E-VFTA], [E-RQDPC], [E-LOOPTAG]
struct Errata {
  std::uint32_t vlan_table_writes = 1;  ///< how often a word of VFTA is written until it holds
  bool drops_need_write = false;        ///< RQDPC is not cleared by a read, but by a write of zero
  bool swaps_looped_tags = false;       ///< the stripped tag of a frame of another pool has its bytes swapped
};

/// The properties in which cards differ. The driver and the model use them. The defaults are those of an 82576 for
/// copper.
struct CardTraits {
  std::uint16_t id = 0;
  std::string_view name;
  intel::Subsystem subsystem = {};  ///< of a row for one maker's cards
  Media media = Media::copper;
  std::uint16_t queues = kRxQueues;           ///< receive queues, and as many transmit queues
  std::uint16_t queue_registers = kRxQueues;  ///< queues that have registers: Linux, igb_ethtool.c, reg_test_i210
  std::uint16_t pools = kPools;               ///< pool n has the queues n and n + pools; 1: the card has no pools
  std::uint32_t ivar_distance = 8;            ///< IVAR has the vectors of a queue and of the one so far behind it
  std::uint32_t msix_vectors = kMsixVectors;
  std::uint32_t exact_addresses = kExactAddresses;  ///< RAL and RAH; index 0 is the port's own
  std::uint32_t pool_vlans = 32;                    ///< VLVF
  std::uint32_t max_frame = kMaxFrameBytes;         ///< bytes with FCS
  std::uint32_t receive_buffer = 64 * 1024;         ///< bytes after power-on
  std::uint32_t transmit_buffer = 40 * 1024;
  BufferTraits buffers = {};
  std::uint32_t fastest_link = 1000;  ///< Mb/s
  bool rate_limits = true;            ///< RTTBCNRC: Linux, igb_main.c, igb_ndo_set_vf_bw, has them for the 82576 alone
  bool later_registers = false;       ///< kLaterRegisters
  bool pool_dma_strips = false;       ///< DVMOLR strips pools' tags instead of VMOLR, and TXSWC switches, not DTXSWC
  std::uint16_t functions = kPools;   ///< virtual functions
  std::uint16_t function_id = 0x10CA;
  Errata errata = {};
  std::uint32_t kept_vlan_types = ~std::uint32_t{0};  ///< the bits of VET that can be written
  std::uint32_t kept_ring_length = 0x000FFFF0;        ///< the same of RDLEN and TDLEN: Linux, igb_ethtool.c
  std::uint32_t forced_causes = 0x77D4FBFD;           ///< the causes that ICS raises: Linux, igb_intr_test
  FilterTraits filters = {};
  ClockTraits clock = {};
  phy::PhyTraits phy = {};  ///< of a copper port
  nvm::NvmTraits nvm = {};
  std::span<const std::string_view> unread_counters = kUnreadOnCopper;  ///< names in kStatisticsRegisters
  intel::CardFeatures features = {};
};

/// The I350's PHY. Registers: Linux, e1000_82575.h (I82580_*) and e1000_phy.c, igb_copper_link_setup_82580,
/// igb_get_phy_info_82580 and igb_get_cable_length_82580; the loopback: igb_ethtool.c, igb_integrated_phy_loopback.
inline constexpr phy::PhyTraits kI350Phy{
    .id = 0x015403B0,
    .name = "I350",
    .paging = {.select = 0},
    .status = {.number = 26, .polarity_reversed = 0x0400, .speed_shift = 8, .speed_base = 0},
    .crossover = {.number = 18, .mdix = 0x0200, .automatic = 0x0400},
    .low_power = phy::LowPower::phpm,
    .cable = phy::CableMeasure::metres,
    .addressed_by_mdic = false,
    .loopback_number = 19,
    .loopback_value = 0x8041,
    .extended = phy::Extended::emi,
    .readable = 0x844F87FF,
    .writable = 0x004F0291};

/// The I210's PHY, which the I211 has, too. Linux, e1000_phy.c, igb_copper_link_setup_m88_gen2, igb_get_phy_info_m88,
/// and e1000_i210.h and e1000_phy.h, GS40G_PAGE_SELECT.
inline constexpr phy::PhyTraits kI210Phy{.id = 0x01410C00,
                                         .name = "I210",
                                         .paging = {.select = 22, .shift = 0, .first = 0},
                                         .status = {.mdix = 0x0040, .speed_base = 0},
                                         .crossover = {.number = 16, .mdix = 0x0020, .automatic = 0x0060},
                                         .low_power = phy::LowPower::phpm,
                                         .cable = phy::CableMeasure::none,
                                         .addressed_by_mdic = false,
                                         .settings_need_reset = true,
                                         .extended = phy::Extended::mmd,
                                         .readable = 0x007FE7FF,
                                         .writable = 0x00756291};

/// I350: Linux igb as for all; four ports, each with a section of the NVM (igb_validate_nvm_checksum_i350), 8 queues
/// (IGB_MAX_RX_QUEUES), 32 addresses (E1000_RAR_ENTRIES_I350), packet buffers of 36 KiB by a code
/// (igb_rxpbs_adjust_82580). VFTA: igb_write_vfta_i350; looped tags: igb_main.c, IGB_RING_FLAG_RX_LB_VLAN_BSWAP.
[[nodiscard]] constexpr CardTraits i350(std::uint16_t id, std::string_view name, Media media = Media::copper) noexcept {
  return {.id = id,
          .name = name,
          .media = media,
          .queues = 8,
          .queue_registers = 8,
          .ivar_distance = 1,
          .exact_addresses = 32,
          .receive_buffer = 36 * 1024,
          .transmit_buffer = 20 * 1024,
          .buffers = {.adjustable = false, .receive = 0, .transmit = 0},
          .rate_limits = false,
          .later_registers = true,
          .pool_dma_strips = true,
          .function_id = 0x1520,
          .errata = {.vlan_table_writes = 10, .swaps_looped_tags = true},
          .kept_vlan_types = 0xFFFF0000,
          .kept_ring_length = 0x000FFF80,
          .forced_causes = 0x77DCFED5,
          .filters = {.tuples_have_sources = false},
          .clock = {.format = ClockFormat::nanoseconds,
                    .shift = 0,
                    .increment = 0,
                    .max_increment = 0x7FFFFFFF,
                    .tick = std::chrono::nanoseconds(8)},
          .phy = kI350Phy,
          .nvm = {.alternate_mac_pointer = std::nullopt, .sections = 4, .size = 4, .long_addresses = true},
          .unread_counters = media == Media::copper ? std::span<const std::string_view>(kUnreadOnCopper)
                                                    : std::span<const std::string_view>()};
}

/// I210 and I211: 4 queues and no pools, 16 addresses, a flash or the iNVM alone (e1000_i210.c). RQDPC: igb_main.c,
/// igb_update_stats. The I211 has two queues (igb_main.c, igb_get_max_rss_queues), but registers of four.
[[nodiscard]] constexpr CardTraits i210(std::uint16_t id, std::string_view name, Media media = Media::copper) noexcept {
  CardTraits card = i350(id, name, media);
  card.queues = 4;
  card.queue_registers = 4;
  card.pools = 1;
  card.msix_vectors = 5;
  card.exact_addresses = 16;
  card.receive_buffer = 34 * 1024;
  card.buffers = {.adjustable = false, .receive = 0xA2, .transmit = 0x04000014};
  card.pool_dma_strips = false;
  card.functions = 0;
  card.errata = {.drops_need_write = true, .swaps_looped_tags = true};
  card.filters.low_queues = 4;
  card.clock.format = ClockFormat::seconds;
  card.clock.latency = {.sent = {9542, 1024, 178}, .received = {20662, 2213, 448}};
  card.phy = kI210Phy;
  card.nvm = {.alternate_mac_pointer = std::nullopt, .storage = nvm::Storage::flash, .size = 3};
  card.features.nvm_pins = false;
  return card;
}
[[nodiscard]] constexpr CardTraits flashless(CardTraits card) noexcept {
  card.nvm.storage = nvm::Storage::one_time;
  card.phy.reports_configuration = false;  // e1000_i210.c, igb_get_cfg_done_i210
  card.phy.pll_may_fail = true;            // igb_init_hw_i210
  return card;
}
[[nodiscard]] constexpr CardTraits i211(std::uint16_t id) noexcept {
  CardTraits card = flashless(i210(id, "I211"));
  card.queues = 2;
  card.filters.low_queues = 2;
  card.clock.latency = {};  // igb_ptp.c, igb_ptp_rx_rgtstamp: of the I210 alone
  return card;
}

inline constexpr std::array kCards{
    CardTraits{.id = 0x10C9, .name = "82576"},
    CardTraits{.id = 0x10C9,
               .name = "82576",
               .subsystem = intel::kQemuSubsystem,
               .msix_vectors = 10,
               .features = intel::kQemuFeatures},
    CardTraits{.id = 0x10E6, .name = "82576 fiber", .media = Media::fiber, .unread_counters = {}},
    CardTraits{.id = 0x10E7, .name = "82576 SerDes", .media = Media::serdes, .unread_counters = {}},
    CardTraits{.id = 0x10E8, .name = "82576 quad copper"},
    CardTraits{.id = 0x1526, .name = "82576 quad copper ET2"},
    CardTraits{.id = 0x150A, .name = "82576NS"},
    CardTraits{.id = 0x1518, .name = "82576NS SerDes", .media = Media::serdes, .unread_counters = {}},
    CardTraits{.id = 0x150D, .name = "82576 quad SerDes", .media = Media::serdes, .unread_counters = {}},
    i350(0x1521, "I350"),
    i350(0x1522, "I350 fiber", Media::fiber),
    i350(0x1523, "I350 SerDes", Media::serdes),
    i350(0x1524, "I350 SGMII", Media::serdes),
    i210(0x1533, "I210"),
    i210(0x1534, "I210 OEM"),
    i210(0x1535, "I210-IT"),
    i210(0x1536, "I210 fiber", Media::fiber),
    i210(0x1537, "I210 SerDes", Media::serdes),
    i210(0x1538, "I210 SGMII", Media::serdes),
    flashless(i210(0x157B, "I210 flashless")),
    flashless(i210(0x157C, "I210 SerDes flashless", Media::serdes)),
    flashless(i210(0x15F6, "I210 SGMII flashless", Media::serdes)),
    i211(0x1539),
};

/// What a card has in common with others of the family.
[[nodiscard]] constexpr gigabit::FamilyTraits family_of(const CardTraits& card) noexcept {
  return {.exact_addresses = card.exact_addresses,
          .vlan_table_writes = card.errata.vlan_table_writes,
          .drops_need_write = card.errata.drops_need_write,
          .phy = card.phy,
          .nvm = card.nvm,
          .features = card.features};
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
