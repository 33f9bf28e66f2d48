// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "hw/intel/registers_queue.hpp"
#include "pollux/device/register.hpp"

/// Transmit control, queues and packet buffer. Offsets: QEMU, hw/net/igb_regs.h, and Linux igb, e1000_regs.h.
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
/// The limit of one memory read request, in bytes.
struct DTXMXSZRQ : Register<DTXMXSZRQ, 0x3540, Access::rw> {};
/// Rate limits of transmit queues. RTTDQSEL selects the queue to which RTTBCNRC applies. The rate factor is the link's
/// speed divided by the rate, with 14 fractional bits. Offsets, fields and the meaning of the queue number: Linux igb,
/// e1000_regs.h, e1000_defines.h, and igb_main.c, igb_set_vf_rate_limit.
struct RTTDQSEL : Register<RTTDQSEL, 0x3604, Access::wo> {
  static constexpr Field QUEUE{0, 4};
  POLLUX_FIELDS(QUEUE);
};
struct RTTBCNRM : Register<RTTBCNRM, 0x3690, Access::wo> {
  static constexpr Field MMW_SIZE{0, 11};  ///< the most that a queue may catch up, in KiB
  POLLUX_FIELDS(MMW_SIZE);
};
struct RTTBCNRC : Register<RTTBCNRC, 0x36B0, Access::wo> {
  static constexpr Field RF_DEC{0, 14}, RF_INT{14, 14};
  static constexpr Bit RS_ENA{31};
  POLLUX_FIELDS(RF_DEC, RF_INT, RS_ENA);
};

/// TCP flags of the first, middle and last segments.
struct DTXTCPFLGL : Register<DTXTCPFLGL, 0x359C, Access::rw> {};
struct DTXTCPFLGH : Register<DTXTCPFLGH, 0x35A0, Access::rw> {};

/// Head, tail, saved head and packet count of the transmit packet buffer, for bring-up of silicon. Linux igb's register
/// dump reads them.
struct TDFH : Register<TDFH, 0x3410, Access::ro> {};
struct TDFT : Register<TDFT, 0x3418, Access::ro> {};
struct TDFHS : Register<TDFHS, 0x3420, Access::ro> {};
struct TDFPC : Register<TDFPC, 0x3430, Access::ro> {};

using intel::TDBAH;
using intel::TDBAL;
using intel::TDH;
using intel::TDLEN;
using intel::TDT;
using intel::TDWBAH;
using intel::TDWBAL;
using intel::TXCTL;
using intel::TXDCTL;

inline constexpr auto kTransmitRegisters = POLLUX_REGISTERS(
    "transmit", TCTL, TCTL_EXT, TIPG, TXPBS, DTXCTL, DTXMXSZRQ, DTXTCPFLGL, DTXTCPFLGH, TDBAL, TDBAH, TDLEN, TDH, TDT,
    TXDCTL, TDWBAL, TDWBAH, TXCTL, TDFH, TDFT, TDFHS, TDFPC, RTTDQSEL, RTTBCNRM, RTTBCNRC);

}  // namespace pollux::hw::igb
