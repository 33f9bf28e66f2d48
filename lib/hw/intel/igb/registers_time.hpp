// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "pollux/device/register.hpp"

/// The clock and time stamps (IEEE 1588). Offsets: Linux igb, e1000_regs.h; bits: DPDK e1000, e1000_defines.h.
namespace pollux::hw::igb {

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
