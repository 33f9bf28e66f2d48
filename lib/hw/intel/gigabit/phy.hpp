// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

/// The cards' internal copper PHYs, which are accessed through MDIC: the registers of IEEE 802.3 clause 22, and a few
/// of the 82576's own. DPDK e1000, e1000_defines.h and e1000_phy.h; Linux igb, e1000_phy.h.
namespace pollux::hw::gigabit::phy {

/// The address of the internal PHY (DPDK e1000, e1000_82575.c, igb phy address 1).
inline constexpr std::uint32_t kAddress = 1;
/// The identifier, without its four revision bits: 0x02A80391 on the 82576 and on QEMU's igb.
inline constexpr std::uint32_t kId = 0x02A80390;
inline constexpr std::uint32_t kIdMask = 0xFFFFFFF0;

// Register numbers.
inline constexpr std::uint32_t kControl = 0;
inline constexpr std::uint32_t kStatus = 1;
inline constexpr std::uint32_t kId1 = 2;
inline constexpr std::uint32_t kId2 = 3;
inline constexpr std::uint32_t kAdvertise = 4;
inline constexpr std::uint32_t kPartner = 5;
inline constexpr std::uint32_t kExpansion = 6;
inline constexpr std::uint32_t kGigabitControl = 9;
inline constexpr std::uint32_t kGigabitStatus = 10;
inline constexpr std::uint32_t kExtendedStatus = 15;
inline constexpr std::uint32_t kPortConfig = 16;
inline constexpr std::uint32_t kPortStatus = 17;
inline constexpr std::uint32_t kPortControl = 18;
inline constexpr std::uint32_t kLinkHealth = 19;
inline constexpr std::uint32_t kPowerManagement = 25;
inline constexpr std::uint32_t kPageSelect = 31;

// Control (0).
inline constexpr std::uint16_t kControlSpeedHigh = 0x0040;  ///< with kControlSpeedLow: 10 for 1000, 01 for 100 Mb/s
inline constexpr std::uint16_t kControlFullDuplex = 0x0100;
inline constexpr std::uint16_t kControlRestart = 0x0200;  ///< restarts autonegotiation; clears itself
inline constexpr std::uint16_t kControlIsolate = 0x0400;
inline constexpr std::uint16_t kControlPowerDown = 0x0800;
inline constexpr std::uint16_t kControlAutonegotiate = 0x1000;
inline constexpr std::uint16_t kControlSpeedLow = 0x2000;
inline constexpr std::uint16_t kControlLoopback = 0x4000;
inline constexpr std::uint16_t kControlReset = 0x8000;  ///< clears itself

// Status (1). The link bit latches low: read it twice for the current state.
inline constexpr std::uint16_t kStatusLink = 0x0004;
inline constexpr std::uint16_t kStatusCanAutonegotiate = 0x0008;
inline constexpr std::uint16_t kStatusRemoteFault = 0x0010;
inline constexpr std::uint16_t kStatusAutonegotiated = 0x0020;

// Advertisement (4) and the link partner's abilities (5).
inline constexpr std::uint16_t kSelector8023 = 0x0001;
inline constexpr std::uint16_t k10Half = 0x0020;
inline constexpr std::uint16_t k10Full = 0x0040;
inline constexpr std::uint16_t k100Half = 0x0080;
inline constexpr std::uint16_t k100Full = 0x0100;
inline constexpr std::uint16_t kPause = 0x0400;
inline constexpr std::uint16_t kPauseAsymmetric = 0x0800;
// Expansion (6).
inline constexpr std::uint16_t kPartnerNegotiates = 0x0001;
// 1000BASE-T control (9).
inline constexpr std::uint16_t kGigabitHalf = 0x0100;
inline constexpr std::uint16_t kGigabitFull = 0x0200;
inline constexpr std::uint16_t kGigabitMaster = 0x0800;      ///< with kGigabitManualRole: this side is the master
inline constexpr std::uint16_t kGigabitManualRole = 0x1000;  ///< the roles of master and slave are not negotiated
// 1000BASE-T status (10).
inline constexpr std::uint16_t kGigabitPartnerHalf = 0x0400;
inline constexpr std::uint16_t kGigabitPartnerFull = 0x0800;
inline constexpr std::uint16_t kGigabitRemoteOk = 0x1000;
inline constexpr std::uint16_t kGigabitLocalOk = 0x2000;
inline constexpr std::uint16_t kGigabitRoleFault = 0x8000;  ///< both sides insist on the same role

// Port status (17).
inline constexpr std::uint16_t kPortSpeedMask = 0xC000;
inline constexpr std::uint16_t kPortSpeed1000 = 0xC000;
inline constexpr std::uint16_t kPortMdix = 0x0800;
inline constexpr std::uint16_t kPortPolarityReversed = 0x0002;
// Port control (18).
inline constexpr std::uint16_t kPortControlAutoMdix = 0x1000;  ///< selects MDI or MDI-X automatically
inline constexpr std::uint16_t kPortControlMdix = 0x2000;      ///< without kPortControlAutoMdix: MDI-X instead of MDI
// Page select (31): the registers from 16 on have several pages. The low five bits, the number of a register, do not
// belong to the page (Linux igb, e1000_phy.c, igb_read_phy_reg_igp, writes the number of the register).
inline constexpr std::uint32_t kFirstPaged = 16;
inline constexpr unsigned kPageShift = 5;
// Power management (25): low-power link-up.
inline constexpr std::uint16_t kLowPowerD0 = 0x0002;
inline constexpr std::uint16_t kLowPowerOther = 0x0004;

// Registers of other pages: Linux igb, e1000_phy.h, IGP01E1000_PHY_PCS_INIT_REG (0x00B4) and IGP02E1000_PHY_AGC_A to
// IGP02E1000_PHY_AGC_D (0x11B1, 0x12B1, 0x14B1, 0x18B1). The polarity at 1000 Mb/s:
inline constexpr std::uint32_t kPcsPage = 0x00B4 >> kPageShift;
inline constexpr std::uint32_t kPcsInit = 0x00B4 & 31;
inline constexpr std::uint16_t kPcsPolarityReversed = 0x0078;
// The gain of the four channels' amplifiers.
inline constexpr std::array<std::uint32_t, 4> kGainPages{0x11B1 >> kPageShift, 0x12B1 >> kPageShift,
                                                         0x14B1 >> kPageShift, 0x18B1 >> kPageShift};
inline constexpr std::uint32_t kGain = 0x11B1 & 31;
inline constexpr unsigned kGainShift = 9;
/// The metres of cable of each gain: Linux igb, e1000_phy.c, e1000_igp_2_cable_length_table.
inline constexpr std::array<std::uint8_t, 113> kMetresOfGain{
    0,   0,   0,   0,   0,  0,  0,  0,   3,   5,   8,   11,  13,  16,  18,  21,  0,   0,   0,   3,   6,   10,  13,
    16,  19,  23,  26,  29, 32, 35, 38,  41,  6,   10,  14,  18,  22,  26,  30,  33,  37,  41,  44,  48,  51,  54,
    58,  61,  21,  26,  31, 35, 40, 44,  49,  53,  57,  61,  65,  68,  72,  75,  79,  82,  40,  45,  51,  56,  61,
    66,  70,  75,  79,  83, 87, 91, 94,  98,  101, 104, 60,  66,  72,  77,  82,  87,  92,  96,  100, 104, 108, 111,
    114, 117, 119, 121, 83, 89, 95, 100, 105, 109, 113, 116, 119, 122, 124, 104, 109, 114, 118, 121, 124};
/// The length that is estimated may be wrong by this: Linux igb, e1000_phy.h, IGP02E1000_AGC_RANGE.
inline constexpr unsigned kMetresOfError = 15;

/// How a page is selected: by `page << shift`, with the register's number in the bits below.
struct Paging {
  std::uint32_t select = kPageSelect;  ///< the register; 0: the PHY has no pages
  unsigned shift = kPageShift;
  std::uint32_t first = kFirstPaged;  ///< the registers from this one on have pages
};

/// Where the PHY reports its link beyond clause 22. The speed is its encoding in STATUS.SPEED plus `speed_base`.
struct StatusRegister {
  std::uint32_t number = kPortStatus;
  std::uint16_t mdix = kPortMdix;
  std::uint16_t polarity_reversed = kPortPolarityReversed;
  unsigned speed_shift = 14;
  unsigned speed_base = 1;

  [[nodiscard]] constexpr std::uint16_t speed_bits(std::uint32_t speed) const noexcept {
    return static_cast<std::uint16_t>((speed + speed_base) << speed_shift);
  }
};

/// Where MDI or MDI-X is chosen.
struct CrossoverRegister {
  std::uint32_t number = kPortControl;
  std::uint16_t mdix = kPortControlMdix;
  std::uint16_t automatic = kPortControlAutoMdix;
};

/// What switches low-power link-up: register 25 of the PHY, or PHPM of the card.
enum class LowPower : std::uint8_t { phy, phpm };

/// How the PHY measures its cable: by the gains of its amplifiers, in a register with metres, or in no known way.
enum class CableMeasure : std::uint8_t { gains, metres, none };

/// How registers beyond clause 22 are reached. Linux igb, e1000_82575.c, igb_read_emi_reg; e1000_i210.c,
/// igb_read_xmdio_reg.
enum class Extended : std::uint8_t {
  none,
  emi,  ///< the address in register 16, the value in register 17
  mmd,  ///< registers 13 and 14, as in annex 22D of IEEE 802.3
};
// Registers 13 and 14: the device and what register 14 is, its address or the value.
inline constexpr std::uint32_t kMmdControl = 13;
inline constexpr std::uint32_t kMmdData = 14;
inline constexpr std::uint16_t kMmdDevice = 0x001F;
inline constexpr std::uint16_t kMmdIsValue = 0x4000;
inline constexpr std::uint32_t kEmiAddress = 16;
inline constexpr std::uint32_t kEmiData = 17;
/// The link partner's Energy Efficient Ethernet (igb_ethtool.c, igb_get_eee): EMI's address, or device and register.
inline constexpr std::uint16_t kEmiPartnerEee = 0x040F;
inline constexpr std::uint16_t kMmdPartnerEeeDevice = 7;
inline constexpr std::uint16_t kMmdPartnerEee = 61;
inline constexpr std::uint16_t kEee100 = 0x0002;
inline constexpr std::uint16_t kEee1000 = 0x0004;

/// [E-PLL] A register of another page that has these bits while the PHY's PLL is not configured. Linux igb,
/// e1000_i210.h, E1000_PHY_PLL_FREQ_PAGE, E1000_PHY_PLL_FREQ_REG and E1000_PHY_PLL_UNCONF.
inline constexpr std::uint32_t kPllPage = 0xFC;
inline constexpr std::uint32_t kPllFrequency = 14;
inline constexpr std::uint16_t kPllUnset = 0x00FF;
/// The word that the card loads for its PLL, without a record in the iNVM, and the bit that makes the PLL start again:
/// E1000_INVM_AUTOLOAD, E1000_INVM_DEFAULT_AL and E1000_INVM_PLL_WO_VAL.
inline constexpr std::uint32_t kPllWord = 0x0A;
inline constexpr std::uint16_t kPllDefault = 0x202F;
inline constexpr std::uint16_t kPllAgain = 0x0010;

/// What a PHY has beyond clause 22.
enum class Kind : std::uint8_t {
  described,  ///< what PhyTraits says
  bm,         ///< the 82574's, with Marvell's registers
};

/// The properties in which the PHYs of cards differ. The defaults are the 82576's.
struct PhyTraits {
  std::uint32_t address = kAddress;  ///< on MDIC
  std::uint32_t id = kId;            ///< without the revision bits
  std::string_view name = "IGP03";
  Kind kind = Kind::described;
  Paging paging = {};
  StatusRegister status = {};
  CrossoverRegister crossover = {};
  LowPower low_power = LowPower::phy;
  CableMeasure cable = CableMeasure::gains;
  bool reports_configuration = true;  ///< EEMNGCTL.CFG_DONE
  bool addressed_by_mdic = true;      ///< otherwise MDICNFG chooses the PHY, which is the internal one
  bool settings_need_reset = false;   ///< `crossover` takes effect with the reset of register 0
  /// A register that is written before a loopback, and its value. Register 0: none.
  std::uint32_t loopback_number = 0;
  std::uint16_t loopback_value = 0;
  Extended extended = Extended::none;
  bool pll_may_fail = false;  ///< [E-PLL]
  /// The registers that answer reads and writes, a bit each: QEMU, igb_core.c, igb_phy_regcap.
  std::uint32_t readable = 0x020F87FF;
  std::uint32_t writable = 0x82050291;
};

}  // namespace pollux::hw::gigabit::phy

/// The 82574's PHY. Linux e1000e, hw.h (BME1000_E_PHY_ID_R2), phy.c and defines.h (M88E1000_*, BME1000_*).
namespace pollux::hw::gigabit::phy::bm {

inline constexpr std::uint32_t kId = 0x01410CB0;
inline constexpr Paging kPaging{.select = 22, .shift = 0};  // BM_PHY_PAGE_SELECT

inline constexpr std::uint32_t kControl = 16;
inline constexpr std::uint16_t kKeepPolarity = 0x0002;  ///< a reversed polarity is not corrected
inline constexpr std::uint16_t kAutoMdix = 0x0060;
inline constexpr std::uint16_t kDownshift = 0x0800;
inline constexpr std::uint32_t kStatus = 17;
inline constexpr std::uint16_t kStatusPolarity = 0x0002;
inline constexpr std::uint16_t kStatusMdix = 0x0040;
inline constexpr std::uint16_t kStatusLength = 0x0380;
inline constexpr unsigned kStatusLengthShift = 7;
inline constexpr std::uint16_t kStatus1000 = 0x8000;  ///< of kPortSpeedMask
/// Metres of cable: range n of kStatusLength goes from the one to the next (e1000_m88_cable_length_table).
inline constexpr std::array<std::uint16_t, 6> kLengths{0, 50, 80, 110, 140, 140};
inline constexpr std::uint32_t kTuningIndex = 29;
inline constexpr std::uint16_t kTuning = 3;
inline constexpr std::uint32_t kTuningValue = 30;
/// A PHY that hangs has both counters at their end (82571.c, e1000_check_phy_82574).
inline constexpr std::uint32_t kReceiveErrors = 21;
inline constexpr std::uint16_t kReceiveErrorsEnd = 0xFFFF;
inline constexpr std::uint16_t kIdleErrorsEnd = 0x00FF;  ///< of kGigabitStatus

}  // namespace pollux::hw::gigabit::phy::bm
