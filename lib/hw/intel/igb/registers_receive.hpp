// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "pollux/device/register.hpp"

/// The receive path: its switch, its queues, its packet buffer. Places: QEMU, hw/net/igb_regs.h, which gives the
/// 82576's layout (16 queues, 0x40 apart) and the older one of queues 0 to 3 (0x100 apart), both of which answer.
namespace pollux::hw::igb {

/// Receive control. Bits: Linux igb, e1000_defines.h.
struct RCTL : Register<RCTL, 0x0100, Access::rw> {
  static constexpr Bit RXEN{1}, SBP{2}, UPE{3}, MPE{4}, LPE{5};
  static constexpr Field LBM{6, 2};
  static constexpr Choice LBM_NONE{LBM, 0}, LBM_MAC{LBM, 1}, LBM_PHY{LBM, 3};
  static constexpr Field MO{12, 2};  ///< which bits of a multicast address index MTA; 0 for bits 47:36
  static constexpr Bit BAM{15};
  static constexpr Field BSIZE{16, 2};  ///< counts only where SRRCTL.BSIZEPACKET is zero
  static constexpr Bit VFE{18}, CFIEN{19}, CFI{20}, DPF{22}, PMCF{23}, SECRC{26};
  POLLUX_FIELDS(RXEN, SBP, UPE, MPE, LPE, LBM, MO, BAM, BSIZE, VFE, CFIEN, CFI, DPF, PMCF, SECRC);
};

/// Receive checksum control.
struct RXCSUM : Register<RXCSUM, 0x5000, Access::rw> {
  static constexpr Field PCSS{0, 8};
  static constexpr Bit IPOFL{8}, TUOFL{9}, CRCOFL{11}, IPPCSE{12}, PCSD{13};
  POLLUX_FIELDS(PCSS, IPOFL, TUOFL, CRCOFL, IPPCSE, PCSD);
};

/// The longest packet taken when RCTL.LPE is set, in bytes.
struct RLPML : Register<RLPML, 0x5004, Access::rw> {
  static constexpr Field LENGTH{0, 14};
  POLLUX_FIELDS(LENGTH);
};

/// Receive filter control.
struct RFCTL : Register<RFCTL, 0x5008, Access::rw> {
  static constexpr Bit ISCSI_DIS{0}, NFSW_DIS{6}, NFSR_DIS{7}, IPV6_DIS{10}, IPV6_XSUM_DIS{11}, IPFRSP_DIS{14};
  static constexpr Bit IPV6_EX_DIS{16}, NEW_IPV6_EXT_DIS{17}, LEF{18};
  POLLUX_FIELDS(ISCSI_DIS, NFSW_DIS, NFSR_DIS, IPV6_DIS, IPV6_XSUM_DIS, IPFRSP_DIS, IPV6_EX_DIS, NEW_IPV6_EXT_DIS, LEF);
};

/// Receive packet buffer, in KiB. Mask: Linux igb, E1000_RXPBS_SIZE_MASK_82576.
struct RXPBS : Register<RXPBS, 0x2404, Access::rw> {
  static constexpr Field SIZE{0, 7};
  POLLUX_FIELDS(SIZE);
};

/// Whether packets of a queue without descriptors are dropped, one bit a queue (SRRCTL.DROP_EN says it, too).
struct QDE : Register<QDE, 0x2408, Access::rw> {
  static constexpr Field QUEUES{0, 16};
  POLLUX_FIELDS(QUEUES);
};

/// Receive packet buffer wrap-around. Bits: DPDK e1000, e1000_82575.h.
struct PBRWAC : Register<PBRWAC, 0x24E8, Access::ro> {
  static constexpr Field WALPB{0, 3};
  static constexpr Bit PBE{3};
  POLLUX_FIELDS(WALPB, PBE);
};

/// Which packet types are split into header and payload, one register a pool.
struct PSRTYPE : Register<PSRTYPE, 0x5480, Access::rw, Stride{4, 8}> {};

/// A receive queue's ring: base (128-byte aligned), length in bytes, head (the card's), tail (software's).
struct RDBAL : Register<RDBAL, 0xC000, Access::rw, Stride{0x40, 16}, Alias{0x2800, 0x100, 4}> {};
struct RDBAH : Register<RDBAH, 0xC004, Access::rw, Stride{0x40, 16}, Alias{0x2804, 0x100, 4}> {};
struct RDLEN : Register<RDLEN, 0xC008, Access::rw, Stride{0x40, 16}, Alias{0x2808, 0x100, 4}> {
  static constexpr Field LEN{7, 13};  ///< in units of 128 bytes
  POLLUX_FIELDS(LEN);
};
/// Written to zero before the queue is enabled; read-only while it runs, and not a sign of what is in memory yet.
struct RDH : Register<RDH, 0xC010, Access::rw, Stride{0x40, 16}, Alias{0x2810, 0x100, 4}> {
  static constexpr Field HEAD{0, 16};
  POLLUX_FIELDS(HEAD);
};
/// The card ignores a write while the queue is disabled (82575 manual, 14.3.59).
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
  static constexpr Bit DROP_EN{31};
  POLLUX_FIELDS(BSIZEPACKET, BSIZEHEADER, RDMTS, DESCTYPE, DROP_EN);
};

/// Receive descriptor control, one a queue. Widths: DPDK e1000, igb_rxtx.c; bits 25 and 26: e1000_base.h,
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

/// Packets dropped for want of descriptors, one a queue. Width: Linux igb, igb_main.c, igb_update_stats.
struct RQDPC : Register<RQDPC, 0xC030, Access::rc, Stride{0x40, 16}, Alias{0x2830, 0x100, 4}> {
  static constexpr Field COUNT{0, 12};
  POLLUX_FIELDS(COUNT);
};

inline constexpr auto kReceiveRegisters =
    POLLUX_REGISTERS("receive", RCTL, RXCSUM, RLPML, RFCTL, RXPBS, QDE, PBRWAC, PSRTYPE, RDBAL, RDBAH, RDLEN, RDH, RDT,
                     SRRCTL, RXDCTL, RXCTL, RQDPC);

}  // namespace pollux::hw::igb
