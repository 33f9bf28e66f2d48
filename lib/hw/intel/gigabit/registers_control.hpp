// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "pollux/device/register.hpp"

/// Device control, link and flow control. Offsets: Linux igb and e1000e, and DPDK e1000, e1000_regs.h; bits: their
/// e1000_defines.h.
namespace pollux::hw::gigabit {

/// Device control.
struct CTRL : Register<CTRL, 0x0000, Access::rw, Stride{}, Alias{0x0004, 4, 1}> {
  static constexpr Bit FD{0}, GIO_MASTER_DISABLE{2}, LRST{3}, SLU{6}, ILOS{7};
  static constexpr Field SPEED{8, 2};  ///< forced speed: 0, 1, 2 for 10, 100, 1000 Mb/s
  static constexpr Bit FRCSPD{11}, FRCDPX{12}, SDP0_DATA{18}, SDP1_DATA{19}, ADVD3WUC{20};
  static constexpr Bit SDP0_DIR{22}, SDP1_DIR{23}, RST{26}, RFCE{27}, TFCE{28}, VME{30}, PHY_RST{31};
  POLLUX_FIELDS(FD, GIO_MASTER_DISABLE, LRST, SLU, ILOS, SPEED, FRCSPD, FRCDPX, SDP0_DATA, SDP1_DATA, ADVD3WUC,
                SDP0_DIR, SDP1_DIR, RST, RFCE, TFCE, VME, PHY_RST);
};

/// Device status. NUM_VFS and IOV_MODE: QEMU, hw/net/igb_regs.h.
struct STATUS : Register<STATUS, 0x0008, Access::ro> {
  static constexpr Bit FD{0}, LU{1};
  static constexpr Field LAN_ID{2, 2};  ///< this function's port of the package
  static constexpr Bit TXOFF{4};
  static constexpr Field SPEED{6, 2};  ///< 0 for 10, 1 for 100, 2 or 3 for 1000 Mb/s
  static constexpr Bit PHYRA{10};
  static constexpr Field NUM_VFS{14, 4};
  static constexpr Bit IOV_MODE{18}, GIO_MASTER_ENABLE{19};
  POLLUX_FIELDS(FD, LU, LAN_ID, TXOFF, SPEED, PHYRA, NUM_VFS, IOV_MODE, GIO_MASTER_ENABLE);
};

/// Extended device control.
struct CTRL_EXT : Register<CTRL_EXT, 0x0018, Access::rw> {
  static constexpr Bit SDP2_DATA{6}, SDP3_DATA{7}, SDP2_DIR{10}, SDP3_DIR{11}, EE_RST{13}, PFRSTD{14}, SPD_BYPS{15};
  static constexpr Bit RO_DIS{17}, SDLPE{18}, DMA_DYN_CLK_EN{19}, PHYPDEN{20};
  static constexpr Field LINK_MODE{22, 2};
  static constexpr Choice LINK_COPPER{LINK_MODE, 0}, LINK_1000BASE_KX{LINK_MODE, 1}, LINK_SGMII{LINK_MODE, 2},
      LINK_SERDES{LINK_MODE, 3};
  static constexpr Bit I2C_ENA{25}, EXT_VLAN{26}, DRV_LOAD{28}, PBA_CLR{31};
  POLLUX_FIELDS(SDP2_DATA, SDP3_DATA, SDP2_DIR, SDP3_DIR, EE_RST, PFRSTD, SPD_BYPS, RO_DIS, SDLPE, DMA_DYN_CLK_EN,
                PHYPDEN, LINK_MODE, I2C_ENA, EXT_VLAN, DRV_LOAD, PBA_CLR);
};

/// Access to the PHY's registers over the management interface.
struct MDIC : Register<MDIC, 0x0020, Access::rw> {
  static constexpr Field DATA{0, 16}, REGADD{16, 5}, PHYADD{21, 5}, OP{26, 2};
  static constexpr Choice WRITE{OP, 1}, READ{OP, 2};
  static constexpr Bit READY{28}, INT_EN{29}, ERROR{30}, DESTINATION{31};
  POLLUX_FIELDS(DATA, REGADD, PHYADD, OP, READY, INT_EN, ERROR, DESTINATION);
};

/// Address, type and timer of pause frames. Fields of the thresholds: 82575 manual, 14.3.53 to 14.3.55.
struct FCAL : Register<FCAL, 0x0028, Access::rw> {};

struct FCAH : Register<FCAH, 0x002C, Access::rw> {
  static constexpr Field ADDRESS{0, 16};
  POLLUX_FIELDS(ADDRESS);
};

struct FCT : Register<FCT, 0x0030, Access::rw> {
  static constexpr Field TYPE{0, 16};
  POLLUX_FIELDS(TYPE);
};

struct FCTTV : Register<FCTTV, 0x0170, Access::rw> {
  static constexpr Field TTV{0, 16};
  POLLUX_FIELDS(TTV);
};

/// Thresholds of the receive packet buffer in units of 16 bytes.
struct FCRTL : Register<FCRTL, 0x2160, Access::rw, Stride{}, Alias{0x0168, 4, 1}> {
  static constexpr Field RTL{4, 12};
  static constexpr Bit XONE{31};
  POLLUX_FIELDS(RTL, XONE);
};

struct FCRTH : Register<FCRTH, 0x2168, Access::rw> {
  static constexpr Field RTH{4, 12};
  POLLUX_FIELDS(RTH);
};

struct FCRTV : Register<FCRTV, 0x2460, Access::rw> {
  static constexpr Field REFRESH{0, 16};
  POLLUX_FIELDS(REFRESH);
};

/// The EtherTypes of VLAN tags and of outer VLAN tags.
struct VET : Register<VET, 0x0038, Access::rw> {
  static constexpr Field TYPE{0, 16}, OUTER_TYPE{16, 16};
  POLLUX_FIELDS(TYPE, OUTER_TYPE);
};

/// Modes of the four LEDs: LINK_UP 2, ON 14, OFF 15.
struct LEDCTL : Register<LEDCTL, 0x0E00, Access::rw> {
  static constexpr Field LED0_MODE{0, 4}, LED1_MODE{8, 4}, LED2_MODE{16, 4}, LED3_MODE{24, 4};
  static constexpr Bit LED0_IVRT{6}, LED0_BLINK{7}, LED1_IVRT{14}, LED1_BLINK{15}, LED2_IVRT{22}, LED2_BLINK{23},
      LED3_IVRT{30}, LED3_BLINK{31};
  POLLUX_FIELDS(LED0_MODE, LED1_MODE, LED2_MODE, LED3_MODE, LED0_IVRT, LED0_BLINK, LED1_IVRT, LED1_BLINK, LED2_IVRT,
                LED2_BLINK, LED3_IVRT, LED3_BLINK);
};

/// The PHY's power: smart power down, low-power link-up in D0 and in other states, and no link at all. An 82576 and
/// an 82574 lack it.
struct PHPM : Register<PHPM, 0x0E14, Access::rw> {
  static constexpr Bit SPD_EN{0}, D0_LPLU{1}, D3_LPLU{2}, GO_LINKD{5};
  POLLUX_FIELDS(SPD_EN, D0_LPLU, D3_LPLU, GO_LINKD);
};

}  // namespace pollux::hw::gigabit
