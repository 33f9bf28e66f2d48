// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "pollux/device/register.hpp"

/// Interrupt causes, masks and vectors. Offsets and bits: QEMU, hw/net/igb_regs.h and e1000x_regs.h; Linux igb,
/// e1000_defines.h. The legacy causes also have newer offsets (DPDK e1000, e1000_regs.h, the _V2 names), which QEMU's
/// card does not implement. Linux and DPDK use the old ones.
namespace pollux::hw::igb {

/// The causes that do not belong to queues. ICR, ICS, IMS, IMC and IAM have the same bits.
template <class Self, std::uint32_t kOffset, Access kAccess, std::uint32_t kNewer>
struct Causes : Register<Self, kOffset, kAccess, Stride{}, Alias{kNewer, 4, 1}> {
  using Bit = typename Register<Self, kOffset, kAccess, Stride{}, Alias{kNewer, 4, 1}>::Bit;
  static constexpr Bit TXDW{0}, LSC{2}, RXSEQ{3}, RXDMT0{4}, MACSEC{5}, RXO{6}, RXDW{7}, VMMB{8};
  static constexpr Bit GPI_SDP0{11}, GPI_SDP1{12}, GPI_SDP2{13}, GPI_SDP3{14}, PTRAP{15}, MNG{18}, TIME_SYNC{19};
  static constexpr Bit OMED{20}, FER{22}, NFER{23}, CSRTO{24}, SCE{25}, SW_WD{26}, DOUTSYNC{28}, DRSTA{30}, INTA{31};
  POLLUX_FIELDS(TXDW, LSC, RXSEQ, RXDMT0, MACSEC, RXO, RXDW, VMMB, GPI_SDP0, GPI_SDP1, GPI_SDP2, GPI_SDP3, PTRAP, MNG,
                TIME_SYNC, OMED, FER, NFER, CSRTO, SCE, SW_WD, DOUTSYNC, DRSTA, INTA);
};

struct ICR : Causes<ICR, 0x00C0, Access::rc_w1c, 0x1500> {};
struct ICS : Causes<ICS, 0x00C8, Access::wo, 0x1504> {};
struct IMS : Causes<IMS, 0x00D0, Access::rw, 0x1508> {};  ///< a read returns the mask; a write adds its ones to it
struct IMC : Causes<IMC, 0x00D8, Access::wo, 0x150C> {};
struct IAM : Causes<IAM, 0x00E0, Access::rw, 0x1510> {};

/// The extended causes. With GPIE.MSIX_MODE, bit n is vector n. Without it, bits 15:0 are the causes of queues, and
/// bits 30 and 31 are as named.
template <class Self, std::uint32_t kOffset, Access kAccess>
struct ExtendedCauses : Register<Self, kOffset, kAccess> {
  using Bit = typename Register<Self, kOffset, kAccess>::Bit;
  using Field = typename Register<Self, kOffset, kAccess>::Field;
  static constexpr Field VECTORS{0, 25};
  static constexpr Bit TCP_TIMER{30}, OTHER{31};
  POLLUX_FIELDS(VECTORS, TCP_TIMER, OTHER);
};

struct EICS : ExtendedCauses<EICS, 0x1520, Access::wo> {};
struct EIMS : ExtendedCauses<EIMS, 0x1524, Access::rw> {};  ///< a read returns the mask; a write adds its ones to it
struct EIMC : ExtendedCauses<EIMC, 0x1528, Access::wo> {};
struct EIAC : ExtendedCauses<EIAC, 0x152C, Access::rw> {};  ///< causes to clear when their message is sent
struct EIAM : ExtendedCauses<EIAM, 0x1530, Access::rw> {};  ///< masks to clear automatically
struct EICR : ExtendedCauses<EICR, 0x1580, Access::rc_w1c> {};

/// General purpose interrupt enable.
struct GPIE : Register<GPIE, 0x1514, Access::rw> {
  static constexpr Bit NSICR{0}, MSIX_MODE{4}, EIAME{30}, PBA{31};
  POLLUX_FIELDS(NSICR, MSIX_MODE, EIAME, PBA);
};

/// Interrupt moderation of a vector. The interval is in microseconds. Linux igb's IGB_START_ITR, 648 for about 6000
/// interrupts per second, is 162 in this field.
struct EITR : Register<EITR, 0x1680, Access::rw, Stride{4, 25}> {
  static constexpr Field INTERVAL{2, 13};
  static constexpr Bit CNT_IGNR{31};
  POLLUX_FIELDS(INTERVAL, CNT_IGNR);
};

/// The vectors of queues n and n + 8 (QEMU, hw/net/igb_regs.h, igb_ivar_entry_rx and _tx).
struct IVAR : Register<IVAR, 0x1700, Access::rw, Stride{4, 8}> {
  static constexpr Field RX_LOW{0, 5}, TX_LOW{8, 5}, RX_HIGH{16, 5}, TX_HIGH{24, 5};
  static constexpr Bit RX_LOW_VALID{7}, TX_LOW_VALID{15}, RX_HIGH_VALID{23}, TX_HIGH_VALID{31};
  POLLUX_FIELDS(RX_LOW, TX_LOW, RX_HIGH, TX_HIGH, RX_LOW_VALID, TX_LOW_VALID, RX_HIGH_VALID, TX_HIGH_VALID);
};
/// The vectors of the TCP timer and of all other causes that do not belong to queues (DPDK e1000, igb_ethdev.c: bits
/// 15:8). QEMU's card uses bits 7:0 for a device reset instead (igb_core.c, igb_raise_interrupts).
struct IVAR_MISC : Register<IVAR_MISC, 0x1740, Access::rw> {
  static constexpr Field TCP_TIMER{0, 5}, OTHER{8, 5};
  static constexpr Bit TCP_TIMER_VALID{7}, OTHER_VALID{15};
  POLLUX_FIELDS(TCP_TIMER, OTHER, TCP_TIMER_VALID, OTHER_VALID);
};

/// Clears pending bits of the MSI-X table.
struct PBACL : Register<PBACL, 0x5B68, Access::w1c> {
  static constexpr Field VECTORS{0, 25};
  POLLUX_FIELDS(VECTORS);
};

struct FRTIMER : Register<FRTIMER, 0x1048, Access::rw> {};
struct TCPTIMER : Register<TCPTIMER, 0x104C, Access::rw> {
  static constexpr Field DURATION{0, 8};
  static constexpr Bit KICKSTART{8}, COUNT_ENABLE{9}, COUNT_FINISH{10}, LOOP{11};
  POLLUX_FIELDS(DURATION, KICKSTART, COUNT_ENABLE, COUNT_FINISH, LOOP);
};

/// Counters of interrupt causes that older cards have. Linux igb and DPDK read them (DPDK e1000, e1000_regs.h).
struct ICRXATC : Register<ICRXATC, 0x4108, Access::ro> {};
struct ICTXPTC : Register<ICTXPTC, 0x410C, Access::ro> {};
struct ICTXATC : Register<ICTXATC, 0x4110, Access::ro> {};
struct ICTXQMTC : Register<ICTXQMTC, 0x411C, Access::ro> {};

inline constexpr auto kInterruptRegisters =
    POLLUX_REGISTERS("interrupt", ICR, ICS, IMS, IMC, IAM, EICS, EIMS, EIMC, EIAC, EIAM, EICR, GPIE, EITR, IVAR,
                     IVAR_MISC, PBACL, FRTIMER, TCPTIMER, ICRXATC, ICTXPTC, ICTXATC, ICTXQMTC);

}  // namespace pollux::hw::igb
