// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "pollux/device/register.hpp"

/// The counters that the cards have in common. Each has 32 bits and is cleared by a read. An octet counter is a pair;
/// read its low half first. Offsets and access: QEMU, hw/net/e1000x_regs.h; Linux igb, e1000_regs.h, and e1000e,
/// regs.h.
namespace pollux::hw::gigabit {

struct CRCERRS : Register<CRCERRS, 0x4000, Access::rc> {};    ///< packets with a CRC error
struct ALGNERRC : Register<ALGNERRC, 0x4004, Access::rc> {};  ///< packets with an alignment error
struct SYMERRS : Register<SYMERRS, 0x4008, Access::rc> {};    ///< symbol errors
struct RXERRC : Register<RXERRC, 0x400C, Access::rc> {};      ///< packets with a receive error
struct MPC : Register<MPC, 0x4010, Access::rc> {};            ///< packets missed because the packet buffer was full
struct SCC : Register<SCC, 0x4014, Access::rc> {};            ///< single collisions
struct ECOL : Register<ECOL, 0x4018, Access::rc> {};          ///< excessive collisions
struct MCC : Register<MCC, 0x401C, Access::rc> {};            ///< multiple collisions
struct LATECOL : Register<LATECOL, 0x4020, Access::rc> {};    ///< late collisions
struct COLC : Register<COLC, 0x4028, Access::rc> {};          ///< collisions
struct DC : Register<DC, 0x4030, Access::rc> {};              ///< transmissions deferred
struct TNCRS : Register<TNCRS, 0x4034, Access::rc> {};        ///< transmissions without carrier sense
struct SEC : Register<SEC, 0x4038, Access::rc> {};            ///< sequence errors
struct RLEC : Register<RLEC, 0x4040, Access::rc> {};          ///< length errors
struct XONRXC : Register<XONRXC, 0x4048, Access::rc> {};      ///< XON received
struct XONTXC : Register<XONTXC, 0x404C, Access::rc> {};      ///< XON sent
struct XOFFRXC : Register<XOFFRXC, 0x4050, Access::rc> {};    ///< XOFF received
struct XOFFTXC : Register<XOFFTXC, 0x4054, Access::rc> {};    ///< XOFF sent
struct FCRUC : Register<FCRUC, 0x4058, Access::rc> {};        ///< unsupported flow control received
struct PRC64 : Register<PRC64, 0x405C, Access::rc> {};        ///< received, 64 bytes
struct PRC127 : Register<PRC127, 0x4060, Access::rc> {};      ///< received, 65 to 127 bytes
struct PRC255 : Register<PRC255, 0x4064, Access::rc> {};      ///< received, 128 to 255 bytes
struct PRC511 : Register<PRC511, 0x4068, Access::rc> {};      ///< received, 256 to 511 bytes
struct PRC1023 : Register<PRC1023, 0x406C, Access::rc> {};    ///< received, 512 to 1023 bytes
struct PRC1522 : Register<PRC1522, 0x4070, Access::rc> {};    ///< received, 1024 bytes and more
struct GPRC : Register<GPRC, 0x4074, Access::rc> {};          ///< good packets received
struct BPRC : Register<BPRC, 0x4078, Access::rc> {};          ///< broadcasts received
struct MPRC : Register<MPRC, 0x407C, Access::rc> {};          ///< multicasts received
struct GPTC : Register<GPTC, 0x4080, Access::rc> {};          ///< good packets sent
struct GORCL : Register<GORCL, 0x4088, Access::rc> {};  ///< good octets received, low half: read before the high one
struct GORCH : Register<GORCH, 0x408C, Access::rc> {};
struct GOTCL : Register<GOTCL, 0x4090, Access::rc> {};  ///< good octets sent, low half
struct GOTCH : Register<GOTCH, 0x4094, Access::rc> {};
struct RNBC : Register<RNBC, 0x40A0, Access::rc> {};      ///< packets for which there was no receive descriptor
struct RUC : Register<RUC, 0x40A4, Access::rc> {};        ///< undersize
struct RFC : Register<RFC, 0x40A8, Access::rc> {};        ///< fragments
struct ROC : Register<ROC, 0x40AC, Access::rc> {};        ///< oversize
struct RJC : Register<RJC, 0x40B0, Access::rc> {};        ///< jabber
struct MGTPRC : Register<MGTPRC, 0x40B4, Access::rc> {};  ///< management packets received
struct MGTPDC : Register<MGTPDC, 0x40B8, Access::rc> {};  ///< management packets dropped
struct MGTPTC : Register<MGTPTC, 0x40BC, Access::rc> {};  ///< management packets sent
struct TORL : Register<TORL, 0x40C0, Access::rc> {};      ///< all octets received, low half
struct TORH : Register<TORH, 0x40C4, Access::rc> {};
struct TOTL : Register<TOTL, 0x40C8, Access::rc> {};  ///< all octets sent, low half
struct TOTH : Register<TOTH, 0x40CC, Access::rc> {};
struct TPR : Register<TPR, 0x40D0, Access::rc> {};          ///< all packets received
struct TPT : Register<TPT, 0x40D4, Access::rc> {};          ///< all packets sent
struct PTC64 : Register<PTC64, 0x40D8, Access::rc> {};      ///< sent, 64 bytes
struct PTC127 : Register<PTC127, 0x40DC, Access::rc> {};    ///< sent, 65 to 127 bytes
struct PTC255 : Register<PTC255, 0x40E0, Access::rc> {};    ///< sent, 128 to 255 bytes
struct PTC511 : Register<PTC511, 0x40E4, Access::rc> {};    ///< sent, 256 to 511 bytes
struct PTC1023 : Register<PTC1023, 0x40E8, Access::rc> {};  ///< sent, 512 to 1023 bytes
struct PTC1522 : Register<PTC1522, 0x40EC, Access::rc> {};  ///< sent, 1024 bytes and more
struct MPTC : Register<MPTC, 0x40F0, Access::rc> {};        ///< multicasts sent
struct BPTC : Register<BPTC, 0x40F4, Access::rc> {};        ///< broadcasts sent
struct TSCTC : Register<TSCTC, 0x40F8, Access::rc> {};      ///< segmentation contexts sent
struct IAC : Register<IAC, 0x4100, Access::rc> {};          ///< interrupts asserted

}  // namespace pollux::hw::gigabit
