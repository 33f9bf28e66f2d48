// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "pollux/device/register.hpp"

/// The registers of a receive and of a transmit queue, which are the same on the 82576, the I350 and their
/// virtual functions. From queue to queue they are 0x40 bytes apart. Each register also has an alias at its offset on
/// the 82575, 0x100 bytes apart; a virtual function has its registers there. Offsets: QEMU, hw/net/igb_regs.h; Linux
/// igbvf, regs.h.
namespace pollux::hw::intel {

/// A receive queue's ring: base (128-byte aligned), length in bytes, head (the card's), tail (software's). The length
/// has the bits 19:4: Linux igb, igb_ethtool.c, reg_test_82576. The 82575 has the bits 19:7.
struct RDBAL : Register<RDBAL, 0xC000, Access::rw, Stride{0x40, 16}, Alias{0x2800, 0x100, 4}> {};
struct RDBAH : Register<RDBAH, 0xC004, Access::rw, Stride{0x40, 16}, Alias{0x2804, 0x100, 4}> {};
struct RDLEN : Register<RDLEN, 0xC008, Access::rw, Stride{0x40, 16}, Alias{0x2808, 0x100, 4}> {
  static constexpr Field LEN{4, 16};  ///< in descriptors
  POLLUX_FIELDS(LEN);
};
/// Software writes 0 before it enables the queue, and only reads it afterwards. A head that has moved does not mean
/// that the write-backs are in memory yet.
struct RDH : Register<RDH, 0xC010, Access::rw, Stride{0x40, 16}, Alias{0x2810, 0x100, 4}> {
  static constexpr Field HEAD{0, 16};
  POLLUX_FIELDS(HEAD);
};
/// Software writes it once the queue reports itself enabled. [I-RDT]
struct RDT : Register<RDT, 0xC018, Access::rw, Stride{0x40, 16}, Alias{0x2818, 0x100, 4}> {
  static constexpr Field TAIL{0, 16};
  POLLUX_FIELDS(TAIL);
};

/// Split and replication: buffer sizes and descriptor format. Bits: DPDK e1000, e1000_82575.h and e1000_base.h; RDMTS:
/// QEMU, igb_core.c, igb_rx_descr_threshold_hit, and the I210 datasheet, 7.1.4.
struct SRRCTL : Register<SRRCTL, 0xC00C, Access::rw, Stride{0x40, 16}, Alias{0x280C, 0x100, 4}> {
  static constexpr Field BSIZEPACKET{0, 7};  ///< in KiB
  static constexpr Field BSIZEHEADER{8, 4};  ///< in units of 64 bytes
  static constexpr Field RDMTS{20, 5};       ///< minimum threshold in units of 16 descriptors
  static constexpr Field DESCTYPE{25, 3};
  static constexpr Choice LEGACY{DESCTYPE, 0}, ONE_BUFFER{DESCTYPE, 1}, SPLIT{DESCTYPE, 2}, REPLICATE{DESCTYPE, 3},
      REPLICATE_LARGE{DESCTYPE, 4}, SPLIT_ALWAYS{DESCTYPE, 5};
  static constexpr Bit TIMESTAMP{30};  ///< of an I350 and later: stamps lie in front of the frames
  static constexpr Bit DROP_EN{31};
  POLLUX_FIELDS(BSIZEPACKET, BSIZEHEADER, RDMTS, DESCTYPE, TIMESTAMP, DROP_EN);
};

/// Receive descriptor control, one per queue. Widths: DPDK e1000, igb_rxtx.c; bits 25 and 26: e1000_base.h,
/// e1000_82575.h.
struct RXDCTL : Register<RXDCTL, 0xC028, Access::rw, Stride{0x40, 16}, Alias{0x2828, 0x100, 4}> {
  static constexpr Field PTHRESH{0, 5}, HTHRESH{8, 5}, WTHRESH{16, 5};
  static constexpr Bit ENABLE{25}, SWFLUSH{26};
  POLLUX_FIELDS(PTHRESH, HTHRESH, WTHRESH, ENABLE, SWFLUSH);
};

/// Direct cache access of a receive queue. Bits: Linux igb, e1000_82575.h.
struct RXCTL : Register<RXCTL, 0xC014, Access::rw, Stride{0x40, 16}, Alias{0x2814, 0x100, 4}> {
  static constexpr Bit DESC_DCA_EN{5}, HEAD_DCA_EN{6}, DATA_DCA_EN{7}, DESC_READ_RO_EN{9};
  static constexpr Field CPUID{24, 8};
  POLLUX_FIELDS(DESC_DCA_EN, HEAD_DCA_EN, DATA_DCA_EN, DESC_READ_RO_EN, CPUID);
};

/// Packets dropped because there was no descriptor, one counter per queue. Width: Linux igb, igb_main.c,
/// igb_update_stats.
struct RQDPC : Register<RQDPC, 0xC030, Access::rc, Stride{0x40, 16}, Alias{0x2830, 0x100, 4}> {
  static constexpr Field COUNT{0, 12};
  POLLUX_FIELDS(COUNT);
};

inline constexpr auto kRxQueueRegisters =
    POLLUX_REGISTERS("queue", RDBAL, RDBAH, RDLEN, RDH, RDT, SRRCTL, RXDCTL, RXCTL, RQDPC);

/// A transmit queue's ring: base (128-byte aligned), length in bytes, head (the card's), tail (software's). The length
/// has the bits 19:4: Linux igb, igb_ethtool.c, reg_test_82576.
struct TDBAL : Register<TDBAL, 0xE000, Access::rw, Stride{0x40, 16}, Alias{0x3800, 0x100, 4}> {};
struct TDBAH : Register<TDBAH, 0xE004, Access::rw, Stride{0x40, 16}, Alias{0x3804, 0x100, 4}> {};
struct TDLEN : Register<TDLEN, 0xE008, Access::rw, Stride{0x40, 16}, Alias{0x3808, 0x100, 4}> {
  static constexpr Field LEN{4, 16};  ///< in descriptors
  POLLUX_FIELDS(LEN);
};
/// Software writes 0 once, before it enables the queue, as DPDK and Linux do.
struct TDH : Register<TDH, 0xE010, Access::rw, Stride{0x40, 16}, Alias{0x3810, 0x100, 4}> {
  static constexpr Field HEAD{0, 16};
  POLLUX_FIELDS(HEAD);
};
struct TDT : Register<TDT, 0xE018, Access::rw, Stride{0x40, 16}, Alias{0x3818, 0x100, 4}> {
  static constexpr Field TAIL{0, 16};
  POLLUX_FIELDS(TAIL);
};

/// Transmit descriptor control, one per queue. Widths: DPDK e1000, igb_rxtx.c; bits 25 to 27: e1000_base.h,
/// e1000_82575.h.
struct TXDCTL : Register<TXDCTL, 0xE028, Access::rw, Stride{0x40, 16}, Alias{0x3828, 0x100, 4}> {
  static constexpr Field PTHRESH{0, 5}, HTHRESH{8, 5}, WTHRESH{16, 5};
  static constexpr Bit ENABLE{25}, SWFLUSH{26}, PRIORITY{27};
  POLLUX_FIELDS(PTHRESH, HTHRESH, WTHRESH, ENABLE, SWFLUSH, PRIORITY);
};

/// The memory address to which the card writes the queue's head instead of DD bits. Bits: DPDK e1000, e1000_82575.h.
struct TDWBAL : Register<TDWBAL, 0xE038, Access::rw, Stride{0x40, 16}, Alias{0x3838, 0x100, 4}> {
  static constexpr Bit HEAD_WB_EN{0}, SEQNUM_WB_EN{1};
  POLLUX_FIELDS(HEAD_WB_EN, SEQNUM_WB_EN);
};
struct TDWBAH : Register<TDWBAH, 0xE03C, Access::rw, Stride{0x40, 16}, Alias{0x383C, 0x100, 4}> {};

/// Direct cache access of a transmit queue. Bits: Linux igb, e1000_82575.h.
struct TXCTL : Register<TXCTL, 0xE014, Access::rw, Stride{0x40, 16}, Alias{0x3814, 0x100, 4}> {
  static constexpr Bit DESC_DCA_EN{5}, DESC_READ_RO_EN{9}, DESC_WB_RO_EN{11}, DATA_READ_RO_EN{13};
  static constexpr Field CPUID{24, 8};
  POLLUX_FIELDS(DESC_DCA_EN, DESC_READ_RO_EN, DESC_WB_RO_EN, DATA_READ_RO_EN, CPUID);
};

inline constexpr auto kTxQueueRegisters =
    POLLUX_REGISTERS("queue", TDBAL, TDBAH, TDLEN, TDH, TDT, TXDCTL, TDWBAL, TDWBAH, TXCTL);

}  // namespace pollux::hw::intel
