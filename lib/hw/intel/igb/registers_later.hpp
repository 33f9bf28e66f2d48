// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "hw/intel/gigabit/registers_control.hpp"
#include "pollux/device/register.hpp"

/// Registers of the I350, the I210 and the I211 that an 82576 lacks. Offsets: Linux igb and DPDK e1000, e1000_regs.h;
/// bits: their e1000_defines.h, e1000_82575.h and e1000_i210.h.
namespace pollux::hw::igb {

using gigabit::PHPM;

/// Which PHY MDIC reaches: an external one and its address, or the internal one.
struct MDICNFG : Register<MDICNFG, 0x0E04, Access::rw> {
  static constexpr Field PHYADD{21, 5};
  static constexpr Bit COM_MDIO{30}, EXT_MDIO{31};
  POLLUX_FIELDS(PHYADD, COM_MDIO, EXT_MDIO);
};
/// Energy Efficient Ethernet: what the PHY negotiates, and when the MAC sends idle signals.
struct EEER : Register<EEER, 0x0E30, Access::rw> {
  static constexpr Bit TX_LPI_EN{16}, RX_LPI_EN{17}, LPI_FC{18}, EEE_NEG{29}, RX_LPI_STATUS{30}, TX_LPI_STATUS{31};
  POLLUX_FIELDS(TX_LPI_EN, RX_LPI_EN, LPI_FC, EEE_NEG, RX_LPI_STATUS, TX_LPI_STATUS);
};
struct EEE_SU : Register<EEE_SU, 0x0E34, Access::rw> {
  static constexpr Bit LPI_CLK_STP{23};
  POLLUX_FIELDS(LPI_CLK_STP);
};
struct IPCNFG : Register<IPCNFG, 0x0E38, Access::rw> {
  static constexpr Bit EEE_100M_AN{2}, EEE_1G_AN{3};
  POLLUX_FIELDS(EEE_100M_AN, EEE_1G_AN);
};

/// The junction's temperature in degrees Celsius, its three thresholds, and what the sensor has done.
struct THMJT : Register<THMJT, 0x8100, Access::ro> {
  static constexpr Field TEMPERATURE{0, 9};
  POLLUX_FIELDS(TEMPERATURE);
};
struct THLOWTC : Register<THLOWTC, 0x8104, Access::rw> {};
struct THMIDTC : Register<THMIDTC, 0x8108, Access::rw> {};
struct THHIGHTC : Register<THHIGHTC, 0x810C, Access::rw> {};
struct THSTAT : Register<THSTAT, 0x8110, Access::ro> {
  static constexpr Bit PWR_DOWN{0}, LINK_THROTTLE{1};
  POLLUX_FIELDS(PWR_DOWN, LINK_THROTTLE);
};

/// The clock's switch, the fraction of a nanosecond, and what interrupts for stamps.
struct TSAUXC : Register<TSAUXC, 0xB640, Access::rw> {
  static constexpr Bit DISABLE{31};
  POLLUX_FIELDS(DISABLE);
};
struct TSIM : Register<TSIM, 0xB674, Access::rw> {
  static constexpr Bit TXTS{1};
  POLLUX_FIELDS(TXTS);
};
struct SYSTIMR : Register<SYSTIMR, 0xB6F8, Access::rw> {};

/// Writes a word of the shadow memory.
struct EEWR : Register<EEWR, 0x12018, Access::rw> {
  static constexpr Bit START{0}, DONE{1};
  static constexpr Field ADDR{2, 14}, DATA{16, 16};
  POLLUX_FIELDS(START, DONE, ADDR, DATA);
};
/// A word that the card loads when it comes back from D3, in place of the one in the iNVM.
struct EEARBC_I210 : Register<EEARBC_I210, 0x12024, Access::rw> {
  static constexpr Field ADDR{4, 9}, DATA{16, 16};
  POLLUX_FIELDS(ADDR, DATA);
};
/// The records of the iNVM, a one-time programmable memory.
struct INVM : Register<INVM, 0x12120, Access::ro, Stride{4, 64}> {
  static constexpr Field TYPE{0, 3}, WORD_ADDRESS{9, 7}, DATA{16, 16};
  static constexpr Choice END{TYPE, 0}, WORD{TYPE, 1}, REGISTER{TYPE, 2}, KEY{TYPE, 4};
  POLLUX_FIELDS(TYPE, WORD_ADDRESS, DATA);
};

inline constexpr auto kLaterRegisters =
    POLLUX_REGISTERS("later", MDICNFG, PHPM, EEER, EEE_SU, IPCNFG, THMJT, THLOWTC, THMIDTC, THHIGHTC, THSTAT, TSAUXC,
                     TSIM, SYSTIMR, EEWR, EEARBC_I210, INVM);

}  // namespace pollux::hw::igb
