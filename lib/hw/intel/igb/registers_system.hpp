// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "pollux/device/register.hpp"

/// PCI Express, direct cache access, wake-up and management. Offsets: QEMU, hw/net/e1000x_regs.h, and Linux igb,
/// e1000_regs.h; bits: DPDK e1000, e1000_defines.h.
namespace pollux::hw::igb {

/// PCI Express control.
struct GCR : Register<GCR, 0x5B00, Access::rw> {
  static constexpr Field COMPLETION_TIMEOUT{12, 4};                        ///< 0: 500 us to 1 ms
  static constexpr Choice COMPLETION_TIMEOUT_10MS{COMPLETION_TIMEOUT, 1};  ///< 10 to 200 ms
  static constexpr Bit COMPLETION_TIMEOUT_RESEND{16}, CAP_VER2{18};
  POLLUX_FIELDS(COMPLETION_TIMEOUT, COMPLETION_TIMEOUT_RESEND, CAP_VER2);
};
struct FUNCTAG : Register<FUNCTAG, 0x5B08, Access::rw> {};
/// Bus statistics: controls and counters.
struct GSCL : Register<GSCL, 0x5B10, Access::rw, Stride{4, 4}> {};
struct GSCN : Register<GSCN, 0x5B20, Access::rw, Stride{4, 4}> {};
struct FACTPS : Register<FACTPS, 0x5B30, Access::ro> {};

/// Direct cache access: requester id and control.
struct DCA_ID : Register<DCA_ID, 0x5B70, Access::ro> {};
struct DCA_CTRL : Register<DCA_CTRL, 0x5B74, Access::rw> {
  static constexpr Bit DISABLE{0}, MODE_CB2{1};
  POLLUX_FIELDS(DISABLE, MODE_CB2);
};

/// Wake-up: control, filters, status, addresses, and the packet that caused the wake-up.
struct WUC : Register<WUC, 0x5800, Access::rw> {
  static constexpr Bit APME{0}, PME_EN{1}, PME_STATUS{2}, APMPME{3};
  POLLUX_FIELDS(APME, PME_EN, PME_STATUS, APMPME);
};
struct WUFC : Register<WUFC, 0x5808, Access::rw> {
  static constexpr Bit LNKC{0}, MAG{1}, EX{2}, MC{3}, BC{4}, ARP{5}, IPV4{6}, FLX0{16};
  POLLUX_FIELDS(LNKC, MAG, EX, MC, BC, ARP, IPV4, FLX0);
};
struct WUS : Register<WUS, 0x5810, Access::w1c> {
  static constexpr Bit LNKC{0}, MAG{1}, EX{2}, MC{3}, BC{4};
  POLLUX_FIELDS(LNKC, MAG, EX, MC, BC);
};
struct IPAV : Register<IPAV, 0x5838, Access::rw> {};
struct IP4AT : Register<IP4AT, 0x5840, Access::rw, Stride{8, 4}> {};
struct IP6AT : Register<IP6AT, 0x5880, Access::rw, Stride{4, 4}> {};
struct WUPL : Register<WUPL, 0x5900, Access::ro> {};
struct WUPM : Register<WUPM, 0x5A00, Access::ro, Stride{4, 32}> {};

/// Management: the filters of the firmware.
struct MANC : Register<MANC, 0x5820, Access::rw> {
  static constexpr Bit ARP_EN{13}, RCV_TCO_EN{17}, BLK_PHY_RST_ON_IDE{18}, EN_MAC_ADDR_FILTER{20}, EN_MNG2HOST{21};
  POLLUX_FIELDS(ARP_EN, RCV_TCO_EN, BLK_PHY_RST_ON_IDE, EN_MAC_ADDR_FILTER, EN_MNG2HOST);
};
struct MFVAL : Register<MFVAL, 0x5824, Access::rw> {};
struct MANC2H : Register<MANC2H, 0x5860, Access::rw> {};
struct MDEF : Register<MDEF, 0x5890, Access::rw, Stride{4, 8}> {};

inline constexpr auto kSystemRegisters =
    POLLUX_REGISTERS("system", GCR, FUNCTAG, GSCL, GSCN, FACTPS, DCA_ID, DCA_CTRL, WUC, WUFC, WUS, IPAV, IP4AT, IP6AT,
                     WUPL, WUPM, MANC, MFVAL, MANC2H, MDEF);

}  // namespace pollux::hw::igb
