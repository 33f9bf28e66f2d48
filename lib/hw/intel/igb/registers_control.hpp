// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "hw/intel/gigabit/registers_control.hpp"
#include "pollux/device/register.hpp"

/// Device control, link and flow control. Offsets: Linux igb and DPDK e1000, e1000_regs.h; bits: their e1000_defines.h.
namespace pollux::hw::igb {

using gigabit::CTRL;
using gigabit::CTRL_EXT;
using gigabit::FCAH;
using gigabit::FCAL;
using gigabit::FCRTH;
using gigabit::FCRTL;
using gigabit::FCRTV;
using gigabit::FCT;
using gigabit::FCTTV;
using gigabit::LEDCTL;
using gigabit::MDIC;
using gigabit::STATUS;
using gigabit::VET;

/// Selects copper or fiber on boards that have both.
struct CONNSW : Register<CONNSW, 0x0034, Access::rw> {
  static constexpr Bit AUTOSENSE_EN{0}, AUTOSENSE_CONF{1}, ENRGSRC{2}, SERDESD{9}, PHYSD{10}, PHY_PDN{11};
  POLLUX_FIELDS(AUTOSENSE_EN, AUTOSENSE_CONF, ENRGSRC, SERDESD, PHYSD, PHY_PDN);
};

inline constexpr auto kControlRegisters = POLLUX_REGISTERS("control", CTRL, STATUS, CTRL_EXT, MDIC, FCAL, FCAH, FCT,
                                                           FCTTV, FCRTL, FCRTH, FCRTV, CONNSW, VET, LEDCTL);

// The physical coding sublayer of SerDes and SGMII ports. Offsets: Linux igb, e1000_regs.h; bits: e1000_defines.h.

struct SCTL : Register<SCTL, 0x0024, Access::rw> {};

struct PCS_CFG0 : Register<PCS_CFG0, 0x4200, Access::rw> {
  static constexpr Bit PCS_EN{3};
  POLLUX_FIELDS(PCS_EN);
};

/// Link control.
struct PCS_LCTL : Register<PCS_LCTL, 0x4208, Access::rw> {
  static constexpr Bit FLV_LINK_UP{0};
  static constexpr Field FSV{1, 2};  ///< forced speed: 0, 1, 2 for 10, 100, 1000 Mb/s
  static constexpr Bit FDV_FULL{3}, FSD{4}, FORCE_LINK{5}, FORCE_FCTRL{7}, AN_ENABLE{16}, AN_RESTART{17},
      AN_TIMEOUT{18};
  POLLUX_FIELDS(FLV_LINK_UP, FSV, FDV_FULL, FSD, FORCE_LINK, FORCE_FCTRL, AN_ENABLE, AN_RESTART, AN_TIMEOUT);
};

/// Link status.
struct PCS_LSTAT : Register<PCS_LSTAT, 0x420C, Access::ro> {
  static constexpr Bit LINK_OK{0}, SPEED_100{1}, SPEED_1000{2}, DUPLEX_FULL{3}, SYNC_OK{4}, AN_COMPLETE{16};
  POLLUX_FIELDS(LINK_OK, SPEED_100, SPEED_1000, DUPLEX_FULL, SYNC_OK, AN_COMPLETE);
};

/// Autonegotiation: advertisement, the link partner's abilities, next pages.
struct PCS_ANADV : Register<PCS_ANADV, 0x4218, Access::rw> {};
struct PCS_LPAB : Register<PCS_LPAB, 0x421C, Access::ro> {};
struct PCS_NPTX : Register<PCS_NPTX, 0x4220, Access::rw> {};
struct PCS_LPABNP : Register<PCS_LPABNP, 0x4224, Access::ro> {};

inline constexpr auto kSerdesRegisters =
    POLLUX_REGISTERS("serdes", SCTL, PCS_CFG0, PCS_LCTL, PCS_LSTAT, PCS_ANADV, PCS_LPAB, PCS_NPTX, PCS_LPABNP);

}  // namespace pollux::hw::igb
