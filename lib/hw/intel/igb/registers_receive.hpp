// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "hw/intel/registers_queue.hpp"
#include "pollux/device/register.hpp"

/// Receive control, queues and packet buffer. Offsets: QEMU, hw/net/igb_regs.h.
namespace pollux::hw::igb {

/// Receive control. Bits: Linux igb, e1000_defines.h.
struct RCTL : Register<RCTL, 0x0100, Access::rw> {
  static constexpr Bit RXEN{1}, SBP{2}, UPE{3}, MPE{4}, LPE{5};
  static constexpr Field LBM{6, 2};
  static constexpr Choice LBM_NONE{LBM, 0}, LBM_MAC{LBM, 1}, LBM_PHY{LBM, 3};
  static constexpr Field MO{12, 2};  ///< which bits of a multicast address index MTA; 0: bits 47:36
  static constexpr Bit BAM{15};
  static constexpr Field BSIZE{16, 2};  ///< used only if SRRCTL.BSIZEPACKET is 0
  static constexpr Bit VFE{18}, CFIEN{19}, CFI{20}, DPF{22}, PMCF{23}, SECRC{26};
  POLLUX_FIELDS(RXEN, SBP, UPE, MPE, LPE, LBM, MO, BAM, BSIZE, VFE, CFIEN, CFI, DPF, PMCF, SECRC);
};

/// Receive checksum control.
struct RXCSUM : Register<RXCSUM, 0x5000, Access::rw> {
  static constexpr Field PCSS{0, 8};
  static constexpr Bit IPOFL{8}, TUOFL{9}, CRCOFL{11}, IPPCSE{12}, PCSD{13};
  POLLUX_FIELDS(PCSS, IPOFL, TUOFL, CRCOFL, IPPCSE, PCSD);
};

/// The longest packet accepted when RCTL.LPE is set, in bytes with FCS.
struct RLPML : Register<RLPML, 0x5004, Access::rw> {
  static constexpr Field LENGTH{0, 14};
  POLLUX_FIELDS(LENGTH);
};

/// Receive filter control.
struct RFCTL : Register<RFCTL, 0x5008, Access::rw> {
  static constexpr Bit ISCSI_DIS{0}, NFSW_DIS{6}, NFSR_DIS{7}, IPV6_DIS{10}, IPV6_XSUM_DIS{11}, IPFRSP_DIS{14};
  static constexpr Bit IPV6_EX_DIS{16}, NEW_IPV6_EXT_DIS{17}, LEF{18}, SYNQFP{19};
  POLLUX_FIELDS(ISCSI_DIS, NFSW_DIS, NFSR_DIS, IPV6_DIS, IPV6_XSUM_DIS, IPFRSP_DIS, IPV6_EX_DIS, NEW_IPV6_EXT_DIS, LEF,
                SYNQFP);
};

/// Size of the receive packet buffer, in KiB. Mask: Linux igb, E1000_RXPBS_SIZE_MASK_82576.
struct RXPBS : Register<RXPBS, 0x2404, Access::rw> {
  static constexpr Field SIZE{0, 7};
  POLLUX_FIELDS(SIZE);
};

/// Packet buffer sizes of older cards. Linux igb's register dump reads them.
struct PBA : Register<PBA, 0x1000, Access::ro> {};
struct PBS : Register<PBS, 0x1008, Access::ro> {};

/// One bit per queue: its packets are dropped while it has no free descriptor. SRRCTL.DROP_EN has the same effect.
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

/// The packet types that are split into header and payload, one register per pool: bit n is that of type n. Types: I210
/// datasheet, A.1; 82575 manual, table 31. A frame of NFS is none of these, but of a type of its own.
struct PSRTYPE : Register<PSRTYPE, 0x5480, Access::rw, Stride{4, 8}> {
  static constexpr Bit IPV4_FRAGMENT{1}, IPV4_TCP{2}, IPV4_UDP{3};
  static constexpr Bit TUNNEL_FRAGMENT{4}, TUNNEL_TCP{5}, TUNNEL_UDP{6};  ///< IPv6 in IPv4
  static constexpr Bit IPV6_FRAGMENT{7}, IPV6_TCP{8}, IPV6_UDP{9};
  POLLUX_FIELDS(IPV4_FRAGMENT, IPV4_TCP, IPV4_UDP, TUNNEL_FRAGMENT, TUNNEL_TCP, TUNNEL_UDP, IPV6_FRAGMENT, IPV6_TCP,
                IPV6_UDP);
};

using intel::RDBAH;
using intel::RDBAL;
using intel::RDH;
using intel::RDLEN;
using intel::RDT;
using intel::RQDPC;
using intel::RXCTL;
using intel::RXDCTL;
using intel::SRRCTL;

inline constexpr auto kReceiveRegisters =
    POLLUX_REGISTERS("receive", RCTL, RXCSUM, RLPML, RFCTL, RXPBS, QDE, PBRWAC, PSRTYPE, RDBAL, RDBAH, RDLEN, RDH, RDT,
                     SRRCTL, RXDCTL, RXCTL, RQDPC, PBA, PBS);

}  // namespace pollux::hw::igb
