// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "pollux/device/register.hpp"

/// Non-volatile memory and the semaphores shared with firmware and the other port.
/// Offsets: Linux igb, e1000_regs.h; bits: DPDK e1000, e1000_defines.h.
namespace pollux::hw::igb {

/// The NVM's SPI pins and state. Software writes the 82576's NVM through them.
struct EECD : Register<EECD, 0x0010, Access::rw> {
  static constexpr Bit SK{0}, CS{1}, DI{2}, DO{3}, REQ{6}, GNT{7}, PRES{8}, AUTO_RD{9}, ADDR_BITS{10};
  static constexpr Field SIZE{11, 4};
  static constexpr Bit BLOCKED{15}, ABORT{16}, TIMEOUT{17}, ERROR_CLR{18};
  POLLUX_FIELDS(SK, CS, DI, DO, REQ, GNT, PRES, AUTO_RD, ADDR_BITS, SIZE, BLOCKED, ABORT, TIMEOUT, ERROR_CLR);
};

/// Reads one 16-bit word: write START with ADDR, wait for DONE, read DATA.
struct EERD : Register<EERD, 0x0014, Access::rw> {
  static constexpr Bit START{0}, DONE{1};
  static constexpr Field ADDR{2, 14}, DATA{16, 16};
  POLLUX_FIELDS(START, DONE, ADDR, DATA);
};

/// Flash access.
struct FLA : Register<FLA, 0x001C, Access::rw> {};

/// Reports the end of the port's configuration after a reset.
struct EEMNGCTL : Register<EEMNGCTL, 0x1010, Access::rw> {
  static constexpr Bit CFG_DONE_0{18}, CFG_DONE_1{19}, CFG_DONE_2{20}, CFG_DONE_3{21};
  POLLUX_FIELDS(CFG_DONE_0, CFG_DONE_1, CFG_DONE_2, CFG_DONE_3);
};

struct EEARBC : Register<EEARBC, 0x1024, Access::rw> {};

/// Access to SFP modules over I2C.
struct I2CCMD : Register<I2CCMD, 0x1028, Access::rw> {
  static constexpr Field DATA{0, 16}, REGADD{16, 8}, PHYADD{24, 3};
  static constexpr Bit OP_READ{27}, READY{29}, ERROR{31};
  POLLUX_FIELDS(DATA, REGADD, PHYADD, OP_READ, READY, ERROR);
};
struct I2CPARAMS : Register<I2CPARAMS, 0x102C, Access::rw> {};

/// The semaphores between software and software (SMBI, which a read sets) and between software and firmware (SWESMBI).
struct SWSM : Register<SWSM, 0x5B50, Access::rw> {
  static constexpr Bit SMBI{0}, SWESMBI{1}, DRV_LOAD{3};
  POLLUX_FIELDS(SMBI, SWESMBI, DRV_LOAD);
};

/// The firmware's semaphore register, which software only reads.
struct FWSM : Register<FWSM, 0x5B54, Access::ro> {
  static constexpr Bit FW_SEMAPHORE{0};
  static constexpr Field FW_MODE{1, 3};
  static constexpr Bit FW_VALID{15};
  POLLUX_FIELDS(FW_SEMAPHORE, FW_MODE, FW_VALID);
};

/// The holders of shared resources: software in the low 16 bits, firmware in the high 16 bits.
struct SW_FW_SYNC : Register<SW_FW_SYNC, 0x5B5C, Access::rw> {
  static constexpr std::uint32_t kSoftwareHalf = 0xFFFF;
  static constexpr Bit SW_EEP{0}, SW_PHY0{1}, SW_PHY1{2}, SW_CSR{3}, SW_PHY2{5}, SW_PHY3{6};
  static constexpr Bit FW_EEP{16}, FW_PHY0{17}, FW_PHY1{18}, FW_CSR{19}, FW_PHY2{21}, FW_PHY3{22};
  POLLUX_FIELDS(SW_EEP, SW_PHY0, SW_PHY1, SW_CSR, SW_PHY2, SW_PHY3, FW_EEP, FW_PHY0, FW_PHY1, FW_CSR, FW_PHY2, FW_PHY3);
};

inline constexpr auto kNvmRegisters =
    POLLUX_REGISTERS("nvm", EECD, EERD, FLA, EEMNGCTL, EEARBC, I2CCMD, I2CPARAMS, SWSM, FWSM, SW_FW_SYNC);

// PCI Express, direct cache access, wake-up and management. Offsets: QEMU, hw/net/e1000x_regs.h, and Linux igb,
// e1000_regs.h; bits: DPDK e1000, e1000_defines.h.

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

// The clock and time stamps (IEEE 1588). Offsets: Linux igb, e1000_regs.h; bits: DPDK e1000, e1000_defines.h.

/// The clock. TIMINCA.VALUE is added to it in every TIMINCA.PERIOD.
struct SYSTIML : Register<SYSTIML, 0xB600, Access::rw> {};
struct SYSTIMH : Register<SYSTIMH, 0xB604, Access::rw> {};
struct TIMINCA : Register<TIMINCA, 0xB608, Access::rw> {
  static constexpr Field VALUE{0, 24}, PERIOD{24, 8};
  POLLUX_FIELDS(VALUE, PERIOD);
};
/// Adds to the clock once.
struct TIMADJL : Register<TIMADJL, 0xB60C, Access::rw> {};
struct TIMADJH : Register<TIMADJH, 0xB610, Access::rw> {};

struct TSYNCTXCTL : Register<TSYNCTXCTL, 0xB614, Access::rw> {
  static constexpr Bit VALID{0}, ENABLED{4};
  POLLUX_FIELDS(VALID, ENABLED);
};
/// The time stamp of the last packet that requested one. A read of the high half releases it for the next.
struct TXSTMPL : Register<TXSTMPL, 0xB618, Access::ro> {};
struct TXSTMPH : Register<TXSTMPH, 0xB61C, Access::ro> {};

struct TSYNCRXCTL : Register<TSYNCRXCTL, 0xB620, Access::rw> {
  static constexpr Bit VALID{0};
  static constexpr Field TYPE{1, 3};
  static constexpr Choice L2_V2{TYPE, 0}, L4_V1{TYPE, 1}, L2_L4_V2{TYPE, 2}, ALL{TYPE, 4}, EVENT_V2{TYPE, 5};
  static constexpr Bit ENABLED{4};
  POLLUX_FIELDS(VALID, TYPE, ENABLED);
};
struct RXSTMPL : Register<RXSTMPL, 0xB624, Access::ro> {};
struct RXSTMPH : Register<RXSTMPH, 0xB628, Access::ro> {};
struct RXSATRL : Register<RXSATRL, 0xB62C, Access::ro> {};
struct RXSATRH : Register<RXSATRH, 0xB630, Access::ro> {};
/// The messages to stamp: control byte of version 1, message identifier of version 2.
struct TSYNCRXCFG : Register<TSYNCRXCFG, 0x5F50, Access::rw> {
  static constexpr Field CTRLT{0, 8}, MSGID{8, 4};
  POLLUX_FIELDS(CTRLT, MSGID);
};

/// Causes of the time interrupt, which later cards have (DPDK e1000, e1000_regs.h). Linux igb reads it.
struct TSICR : Register<TSICR, 0xB66C, Access::ro> {};

inline constexpr auto kTimeRegisters =
    POLLUX_REGISTERS("time", SYSTIML, SYSTIMH, TIMINCA, TIMADJL, TIMADJH, TSYNCTXCTL, TXSTMPL, TXSTMPH, TSYNCRXCTL,
                     RXSTMPL, RXSTMPH, RXSATRL, RXSATRH, TSYNCRXCFG, TSICR);

}  // namespace pollux::hw::igb
