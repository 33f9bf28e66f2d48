// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "pollux/device/register.hpp"

/// Non-volatile memory, the semaphores shared with firmware, PCI Express, wake-up and management. Offsets: Linux igb
/// and e1000e, e1000_regs.h and regs.h; bits: DPDK e1000, e1000_defines.h.
namespace pollux::hw::gigabit {

/// The NVM's SPI pins and state. Software writes the 82576's NVM through them.
struct EECD : Register<EECD, 0x0010, Access::rw> {
  static constexpr Bit SK{0}, CS{1}, DI{2}, DO{3}, REQ{6}, GNT{7}, PRES{8}, AUTO_RD{9}, ADDR_BITS{10};
  static constexpr Field SIZE{11, 4};
  static constexpr Bit BLOCKED{15}, ABORT{16}, TIMEOUT{17}, ERROR_CLR{18};
  static constexpr Bit FLASH_DETECTED{19}, FLUPD{23}, FLUDONE{26};  ///< of cards whose NVM is in a flash
  POLLUX_FIELDS(SK, CS, DI, DO, REQ, GNT, PRES, AUTO_RD, ADDR_BITS, SIZE, BLOCKED, ABORT, TIMEOUT, ERROR_CLR,
                FLASH_DETECTED, FLUPD, FLUDONE);
};

/// Reads one 16-bit word: write START with ADDR, wait for DONE, read DATA.
struct EERD : Register<EERD, 0x0014, Access::rw> {
  static constexpr Bit START{0}, DONE{1};
  static constexpr Field ADDR{2, 14}, DATA{16, 16};
  POLLUX_FIELDS(START, DONE, ADDR, DATA);
};

/// Reports the end of the port's configuration after a reset.
struct EEMNGCTL : Register<EEMNGCTL, 0x1010, Access::rw> {
  static constexpr Bit CFG_DONE_0{18}, CFG_DONE_1{19}, CFG_DONE_2{20}, CFG_DONE_3{21};
  POLLUX_FIELDS(CFG_DONE_0, CFG_DONE_1, CFG_DONE_2, CFG_DONE_3);
};

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

/// PCI Express control.
struct GCR : Register<GCR, 0x5B00, Access::rw> {
  static constexpr Field COMPLETION_TIMEOUT{12, 4};                        ///< 0: 500 us to 1 ms
  static constexpr Choice COMPLETION_TIMEOUT_10MS{COMPLETION_TIMEOUT, 1};  ///< 10 to 200 ms
  static constexpr Bit COMPLETION_TIMEOUT_RESEND{16}, CAP_VER2{18};
  POLLUX_FIELDS(COMPLETION_TIMEOUT, COMPLETION_TIMEOUT_RESEND, CAP_VER2);
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

/// Management: the filters of the firmware.
struct MANC : Register<MANC, 0x5820, Access::rw> {
  static constexpr Bit ARP_EN{13}, RCV_TCO_EN{17}, BLK_PHY_RST_ON_IDE{18}, EN_MAC_ADDR_FILTER{20}, EN_MNG2HOST{21};
  POLLUX_FIELDS(ARP_EN, RCV_TCO_EN, BLK_PHY_RST_ON_IDE, EN_MAC_ADDR_FILTER, EN_MNG2HOST);
};

}  // namespace pollux::hw::gigabit
