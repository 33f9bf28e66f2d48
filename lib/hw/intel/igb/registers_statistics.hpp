// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "hw/intel/gigabit/registers_statistics.hpp"
#include "pollux/device/register.hpp"

/// The card's counters. Each has 32 bits and is cleared by a read. An octet counter is a pair; read its low half first.
/// Offsets and access: QEMU, hw/net/e1000x_regs.h; Linux igb, e1000_regs.h. That header has two names for 0x4104,
/// 0x4118 and 0x4124, which count interrupt causes on older cards; the names here are those of the 82575 and 82576.
namespace pollux::hw::igb {

using gigabit::ALGNERRC;
using gigabit::BPRC;
using gigabit::BPTC;
using gigabit::COLC;
using gigabit::CRCERRS;
using gigabit::DC;
using gigabit::ECOL;
using gigabit::FCRUC;
using gigabit::GORCH;
using gigabit::GORCL;
using gigabit::GOTCH;
using gigabit::GOTCL;
using gigabit::GPRC;
using gigabit::GPTC;
using gigabit::IAC;
using gigabit::LATECOL;
using gigabit::MCC;
using gigabit::MGTPDC;
using gigabit::MGTPRC;
using gigabit::MGTPTC;
using gigabit::MPC;
using gigabit::MPRC;
using gigabit::MPTC;
using gigabit::PRC1023;
using gigabit::PRC127;
using gigabit::PRC1522;
using gigabit::PRC255;
using gigabit::PRC511;
using gigabit::PRC64;
using gigabit::PTC1023;
using gigabit::PTC127;
using gigabit::PTC1522;
using gigabit::PTC255;
using gigabit::PTC511;
using gigabit::PTC64;
using gigabit::RFC;
using gigabit::RJC;
using gigabit::RLEC;
using gigabit::RNBC;
using gigabit::ROC;
using gigabit::RUC;
using gigabit::RXERRC;
using gigabit::SCC;
using gigabit::SEC;
using gigabit::SYMERRS;
using gigabit::TNCRS;
using gigabit::TORH;
using gigabit::TORL;
using gigabit::TOTH;
using gigabit::TOTL;
using gigabit::TPR;
using gigabit::TPT;
using gigabit::TSCTC;
using gigabit::XOFFRXC;
using gigabit::XOFFTXC;
using gigabit::XONRXC;
using gigabit::XONTXC;

struct CBTMPC : Register<CBTMPC, 0x402C, Access::rc> {};    ///< circuit breaker: packets to management
struct HTDPMC : Register<HTDPMC, 0x403C, Access::rc> {};    ///< host transmissions discarded by the MAC
struct CBRDPC : Register<CBRDPC, 0x4044, Access::rc> {};    ///< circuit breaker: received packets dropped
struct CBRMPC : Register<CBRMPC, 0x40FC, Access::rc> {};    ///< circuit breaker: received packets to management
struct RPTHC : Register<RPTHC, 0x4104, Access::rc> {};      ///< packets to the host
struct HGPTC : Register<HGPTC, 0x4118, Access::rc> {};      ///< the host's good packets sent
struct RXDMTC : Register<RXDMTC, 0x4120, Access::rc> {};    ///< times the descriptor threshold was reached
struct HTCBDPC : Register<HTCBDPC, 0x4124, Access::rc> {};  ///< circuit breaker: the host's packets dropped
struct HGORCL : Register<HGORCL, 0x4128, Access::rc> {};    ///< good octets to the host, low half
struct HGORCH : Register<HGORCH, 0x412C, Access::rc> {};
struct HGOTCL : Register<HGOTCL, 0x4130, Access::rc> {};  ///< the host's good octets sent, low half
struct HGOTCH : Register<HGOTCH, 0x4134, Access::rc> {};
struct LENERRS : Register<LENERRS, 0x4138, Access::rc> {};  ///< length errors of typed packets
/// Must not be read on a copper port (Linux igb, e1000_82575.c, igb_clear_hw_cntrs_82575).
struct SCVPC : Register<SCVPC, 0x4228, Access::rc> {};  ///< packets with code violations, SerDes and SGMII

inline constexpr auto kStatisticsRegisters = POLLUX_REGISTERS(
    "statistics", CRCERRS, ALGNERRC, SYMERRS, RXERRC, MPC, SCC, ECOL, MCC, LATECOL, COLC, CBTMPC, DC, TNCRS, SEC,
    HTDPMC, RLEC, CBRDPC, XONRXC, XONTXC, XOFFRXC, XOFFTXC, FCRUC, PRC64, PRC127, PRC255, PRC511, PRC1023, PRC1522,
    GPRC, BPRC, MPRC, GPTC, GORCL, GORCH, GOTCL, GOTCH, RNBC, RUC, RFC, ROC, RJC, MGTPRC, MGTPDC, MGTPTC, TORL, TORH,
    TOTL, TOTH, TPR, TPT, PTC64, PTC127, PTC255, PTC511, PTC1023, PTC1522, MPTC, BPTC, TSCTC, CBRMPC, IAC, RPTHC, HGPTC,
    RXDMTC, HTCBDPC, HGORCL, HGORCH, HGOTCL, HGOTCH, LENERRS, SCVPC);

}  // namespace pollux::hw::igb
