// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "pollux/device/register.hpp"

/// The registers of a transmit queue, which are the same on the 82576, the I350 and their virtual functions. From queue
/// to queue they are 0x40 bytes apart. Each register also has an alias at its offset on the 82575, 0x100 bytes apart; a
/// virtual function has its registers there. Offsets: QEMU, hw/net/igb_regs.h; Linux igbvf, regs.h.
namespace pollux::hw::intel {

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
