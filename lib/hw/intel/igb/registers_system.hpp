// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "hw/intel/gigabit/registers_system.hpp"
#include "pollux/device/register.hpp"

/// Non-volatile memory and the semaphores shared with firmware and the other port.
/// Offsets: Linux igb, e1000_regs.h; bits: DPDK e1000, e1000_defines.h.
namespace pollux::hw::igb {

using gigabit::EECD;
using gigabit::EEMNGCTL;
using gigabit::EERD;
using gigabit::FWSM;
using gigabit::GCR;
using gigabit::MANC;
using gigabit::SW_FW_SYNC;
using gigabit::SWSM;
using gigabit::WUC;
using gigabit::WUFC;
using gigabit::WUS;

/// Flash access.
struct FLA : Register<FLA, 0x001C, Access::rw> {};

struct EEARBC : Register<EEARBC, 0x1024, Access::rw> {};

/// Access to SFP modules over I2C.
struct I2CCMD : Register<I2CCMD, 0x1028, Access::rw> {
  static constexpr Field DATA{0, 16}, REGADD{16, 8}, PHYADD{24, 3};
  static constexpr Bit OP_READ{27}, READY{29}, ERROR{31};
  POLLUX_FIELDS(DATA, REGADD, PHYADD, OP_READ, READY, ERROR);
};
struct I2CPARAMS : Register<I2CPARAMS, 0x102C, Access::rw> {};

inline constexpr auto kNvmRegisters =
    POLLUX_REGISTERS("nvm", EECD, EERD, FLA, EEMNGCTL, EEARBC, I2CCMD, I2CPARAMS, SWSM, FWSM, SW_FW_SYNC);

// PCI Express, direct cache access, wake-up and management. Offsets: QEMU, hw/net/e1000x_regs.h, and Linux igb,
// e1000_regs.h; bits: DPDK e1000, e1000_defines.h.

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

struct IPAV : Register<IPAV, 0x5838, Access::rw> {};
struct IP4AT : Register<IP4AT, 0x5840, Access::rw, Stride{8, 4}> {};
struct IP6AT : Register<IP6AT, 0x5880, Access::rw, Stride{4, 4}> {};
struct WUPL : Register<WUPL, 0x5900, Access::ro> {};
struct WUPM : Register<WUPM, 0x5A00, Access::ro, Stride{4, 32}> {};

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
