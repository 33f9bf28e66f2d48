// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "pollux/device/register.hpp"

/// The transmit path. Places: QEMU, hw/net/igb_regs.h (queues as in registers_receive.hpp), and Linux igb,
/// e1000_regs.h.
namespace pollux::hw::igb {

/// Transmit control. Bits: DPDK e1000, e1000_defines.h.
struct TCTL : Register<TCTL, 0x0400, Access::rw> {
  static constexpr Bit EN{1}, PSP{3};
  static constexpr Field CT{4, 8}, COLD{12, 10};
  static constexpr Bit SWXOFF{22}, RTLC{24};
  POLLUX_FIELDS(EN, PSP, CT, COLD, SWXOFF, RTLC);
};

/// Collision distance. DPDK e1000, e1000_82575.h.
struct TCTL_EXT : Register<TCTL_EXT, 0x0404, Access::rw> {
  static constexpr Field COLD{10, 10};
  POLLUX_FIELDS(COLD);
};

/// Gaps between packets.
struct TIPG : Register<TIPG, 0x0410, Access::rw> {
  static constexpr Field IPGT{0, 10}, IPGR1{10, 10}, IPGR2{20, 10};
  POLLUX_FIELDS(IPGT, IPGR1, IPGR2);
};

/// Transmit packet buffer size.
struct TXPBS : Register<TXPBS, 0x3404, Access::rw> {};

/// DMA transmit control. Bits: Linux igb, e1000_82575.h.
struct DTXCTL : Register<DTXCTL, 0x3590, Access::rw> {
  static constexpr Bit ENABLE_8023LL{2}, VLAN_ADDED{3}, OOS_ENABLE{4}, MDP_EN{5}, SPOOF_INT{6};
  POLLUX_FIELDS(ENABLE_8023LL, VLAN_ADDED, OOS_ENABLE, MDP_EN, SPOOF_INT);
};
/// The most bytes that may be asked of memory at once.
struct DTXMXSZRQ : Register<DTXMXSZRQ, 0x3540, Access::rw> {};
/// TCP flags of the first, middle and last segments.
struct DTXTCPFLGL : Register<DTXTCPFLGL, 0x359C, Access::rw> {};
struct DTXTCPFLGH : Register<DTXTCPFLGH, 0x35A0, Access::rw> {};

/// A transmit queue's ring: base (128-byte aligned), length in bytes, head (the card's), tail (software's).
struct TDBAL : Register<TDBAL, 0xE000, Access::rw, Stride{0x40, 16}, Alias{0x3800, 0x100, 4}> {};
struct TDBAH : Register<TDBAH, 0xE004, Access::rw, Stride{0x40, 16}, Alias{0x3804, 0x100, 4}> {};
struct TDLEN : Register<TDLEN, 0xE008, Access::rw, Stride{0x40, 16}, Alias{0x3808, 0x100, 4}> {
  static constexpr Field LEN{7, 13};  ///< in units of 128 bytes
  POLLUX_FIELDS(LEN);
};
/// Software writes it once, to zero, before the queue is enabled (DPDK and Linux do).
struct TDH : Register<TDH, 0xE010, Access::rw, Stride{0x40, 16}, Alias{0x3810, 0x100, 4}> {
  static constexpr Field HEAD{0, 16};
  POLLUX_FIELDS(HEAD);
};
struct TDT : Register<TDT, 0xE018, Access::rw, Stride{0x40, 16}, Alias{0x3818, 0x100, 4}> {
  static constexpr Field TAIL{0, 16};
  POLLUX_FIELDS(TAIL);
};

/// Transmit descriptor control, one a queue. Widths: DPDK e1000, igb_rxtx.c; bits 25 to 27: e1000_base.h,
/// e1000_82575.h.
struct TXDCTL : Register<TXDCTL, 0xE028, Access::rw, Stride{0x40, 16}, Alias{0x3828, 0x100, 4}> {
  static constexpr Field PTHRESH{0, 5}, HTHRESH{8, 5}, WTHRESH{16, 5};
  static constexpr Bit ENABLE{25}, SWFLUSH{26}, PRIORITY{27};
  POLLUX_FIELDS(PTHRESH, HTHRESH, WTHRESH, ENABLE, SWFLUSH, PRIORITY);
};

/// Where the card writes the queue's head instead of done bits. Bits: DPDK e1000, e1000_82575.h.
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

inline constexpr auto kTransmitRegisters =
    POLLUX_REGISTERS("transmit", TCTL, TCTL_EXT, TIPG, TXPBS, DTXCTL, DTXMXSZRQ, DTXTCPFLGL, DTXTCPFLGH, TDBAL, TDBAH,
                     TDLEN, TDH, TDT, TXDCTL, TDWBAL, TDWBAH, TXCTL);

}  // namespace pollux::hw::igb
