// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "hw/intel/gigabit/registers.hpp"
#include "hw/intel/gigabit/traits.hpp"
#include "pollux/device/register.hpp"

/// The registers of an 82574 besides those of the family. Offsets: Linux e1000e, regs.h; QEMU, hw/net/e1000x_regs.h;
/// bits: Linux e1000e, defines.h and hw.h.
namespace pollux::hw::e1000e {

using namespace gigabit;  // NOLINT(google-build-using-namespace): a card has all registers of its family

/// Causes of interrupts. With MSI-X, those of queues and all others together have bits of their own.
template <class Self, std::uint32_t kOffset, Access kAccess>
struct Causes : Register<Self, kOffset, kAccess> {
  using Bit = typename Register<Self, kOffset, kAccess>::Bit;
  static constexpr Bit TXDW{0}, TXQE{1}, LSC{2}, RXDMT0{4}, RXO{6}, RXT0{7}, MDAC{9};
  static constexpr Bit RXQ0{20}, RXQ1{21}, TXQ0{22}, TXQ1{23}, OTHER{24};
  POLLUX_FIELDS(TXDW, TXQE, LSC, RXDMT0, RXO, RXT0, MDAC, RXQ0, RXQ1, TXQ0, TXQ1, OTHER);
};
struct ICR : Causes<ICR, 0x00C0, Access::rc_w1c> {};
struct ICS : Causes<ICS, 0x00C8, Access::wo> {};
struct IMS : Causes<IMS, 0x00D0, Access::rw> {};  ///< a read returns the mask; a write adds its ones to it
struct IMC : Causes<IMC, 0x00D8, Access::wo> {};
/// With MSI-X: the causes that a message clears and, with CTRL_EXT.EIAME (bit 24), masks.
struct EIAC : Causes<EIAC, 0x00DC, Access::rw> {};
/// The vector of each queue, and of the other causes.
struct IVAR : Register<IVAR, 0x00E4, Access::rw> {
  static constexpr Field RXQ0{0, 3};
  static constexpr Bit RXQ0_VALID{3};
  static constexpr Field RXQ1{4, 3};
  static constexpr Bit RXQ1_VALID{7};
  static constexpr Field OTHER{16, 3};
  static constexpr Bit OTHER_VALID{19};
  POLLUX_FIELDS(RXQ0, RXQ0_VALID, RXQ1, RXQ1_VALID, OTHER, OTHER_VALID);
};
/// The shortest time between messages of a vector, in units of 256 ns.
struct EITR : Register<EITR, 0x00E8, Access::rw, Stride{4, 5}> {};

/// Receive control. BSIZE is used only if FLXBUF, in KiB, is 0.
struct RCTL : Register<RCTL, 0x0100, Access::rw> {
  static constexpr Bit RXEN{1}, SBP{2}, UPE{3}, MPE{4}, LPE{5};
  static constexpr Field LBM{6, 2}, RDMTS{8, 2}, DTYP{10, 2}, MO{12, 2};
  static constexpr Bit BAM{15};
  static constexpr Field BSIZE{16, 2};
  static constexpr Bit VFE{18}, CFIEN{19}, CFI{20}, DPF{22}, PMCF{23}, BSEX{25}, SECRC{26};
  static constexpr Field FLXBUF{27, 4};
  POLLUX_FIELDS(RXEN, SBP, UPE, MPE, LPE, LBM, RDMTS, DTYP, MO, BAM, BSIZE, VFE, CFIEN, CFI, DPF, PMCF, BSEX, SECRC,
                FLXBUF);
};
struct RXCSUM : Register<RXCSUM, 0x5000, Access::rw> {
  static constexpr Field PCSS{0, 8};
  static constexpr Bit IPOFL{8}, TUOFL{9}, PCSD{13};
  POLLUX_FIELDS(PCSS, IPOFL, TUOFL, PCSD);
};
/// Receive filter control; EXTEN selects extended descriptors.
struct RFCTL : Register<RFCTL, 0x5008, Access::rw> {
  static constexpr Bit NFSW_DIS{6}, NFSR_DIS{7}, ACK_DIS{12}, EXTEN{15}, IPV6_EX_DIS{16}, NEW_IPV6_EXT_DIS{17};
  POLLUX_FIELDS(NFSW_DIS, NFSR_DIS, ACK_DIS, EXTEN, IPV6_EX_DIS, NEW_IPV6_EXT_DIS);
};

struct MRQC : Register<MRQC, 0x5818, Access::rw> {
  static constexpr Field ENABLE{0, 2};
  static constexpr Choice RSS{ENABLE, 1};
  static constexpr Bit TCP_IPV4{16}, IPV4{17}, TCP_IPV6{18}, IPV6_EX{19}, IPV6{20};
  POLLUX_FIELDS(ENABLE, TCP_IPV4, IPV4, TCP_IPV6, IPV6_EX, IPV6);
};

/// Packet buffer: KiB for receiving; the rest is for sending.
struct PBA : Register<PBA, 0x1000, Access::rw> {
  static constexpr Field RX{0, 16}, TX{16, 16};
  POLLUX_FIELDS(RX, TX);
};

/// Transmit control.
struct TCTL : Register<TCTL, 0x0400, Access::rw> {
  static constexpr Bit EN{1}, PSP{3};
  static constexpr Field CT{4, 8}, COLD{12, 10};
  static constexpr Bit RTLC{24};
  POLLUX_FIELDS(EN, PSP, CT, COLD, RTLC);
};
struct TIPG : Register<TIPG, 0x0410, Access::rw> {
  static constexpr Field IPGT{0, 10}, IPGR1{10, 10}, IPGR2{20, 10};
  POLLUX_FIELDS(IPGT, IPGR1, IPGR2);
};

/// Rings: base, length in bytes, head (the card's), tail (software's). They have the offsets of the 82575.
struct RDBAL : Register<RDBAL, 0x2800, Access::rw, Stride{0x100, 2}> {};
struct RDBAH : Register<RDBAH, 0x2804, Access::rw, Stride{0x100, 2}> {};
struct RDLEN : Register<RDLEN, 0x2808, Access::rw, Stride{0x100, 2}> {};
struct RDH : Register<RDH, 0x2810, Access::rw, Stride{0x100, 2}> {};
struct RDT : Register<RDT, 0x2818, Access::rw, Stride{0x100, 2}> {};
struct TDBAL : Register<TDBAL, 0x3800, Access::rw, Stride{0x100, 2}> {};
struct TDBAH : Register<TDBAH, 0x3804, Access::rw, Stride{0x100, 2}> {};
struct TDLEN : Register<TDLEN, 0x3808, Access::rw, Stride{0x100, 2}> {};
struct TDH : Register<TDH, 0x3810, Access::rw, Stride{0x100, 2}> {};
struct TDT : Register<TDT, 0x3818, Access::rw, Stride{0x100, 2}> {};
/// Delays of interrupts and write-backs.
struct RDTR : Register<RDTR, 0x2820, Access::rw> {};
struct RADV : Register<RADV, 0x282C, Access::rw> {};
struct TIDV : Register<TIDV, 0x3820, Access::rw> {};
struct TADV : Register<TADV, 0x382C, Access::rw> {};
/// Thresholds, in descriptors if GRAN is set. A queue has no bit that enables it.
struct RXDCTL : Register<RXDCTL, 0x2828, Access::rw, Stride{0x100, 2}> {
  static constexpr Field PTHRESH{0, 6}, HTHRESH{8, 6}, WTHRESH{16, 6};
  static constexpr Bit GRAN{24};
  POLLUX_FIELDS(PTHRESH, HTHRESH, WTHRESH, GRAN);
};
struct TXDCTL : Register<TXDCTL, 0x3828, Access::rw, Stride{0x100, 2}> {
  static constexpr Field PTHRESH{0, 6}, HTHRESH{8, 6}, WTHRESH{16, 6};
  static constexpr Bit COUNT_DESC{22}, GRAN{24};
  POLLUX_FIELDS(PTHRESH, HTHRESH, WTHRESH, COUNT_DESC, GRAN);
};
/// Arbitration between transmit queues.
struct TARC : Register<TARC, 0x3840, Access::rw, Stride{0x100, 2}> {
  static constexpr Bit ENABLE{10}, PREFETCH{26};
  static constexpr Field RESERVED{27, 4};
  POLLUX_FIELDS(ENABLE, PREFETCH, RESERVED);
};
/// PCI Express control, second part.
struct GCR2 : Register<GCR2, 0x5B64, Access::rw> {
  static constexpr Bit COMPLETIONS{0};
  POLLUX_FIELDS(COMPLETIONS);
};

inline constexpr auto kRegisters =
    POLLUX_REGISTERS("control", CTRL, STATUS, CTRL_EXT, MDIC, FCAL, FCAH, FCT, FCTTV, FCRTL, FCRTH, FCRTV, VET, LEDCTL,
                     EECD, EERD, EEMNGCTL, EXTCNF_CTRL, FWSM, GCR, GCR2, WUC, WUFC, WUS, MANC, ICR, ICS, IMS, IMC, EIAC,
                     IVAR, EITR, RCTL, RXCSUM, RFCTL, MRQC, RETA, RSSRK, PBA, TCTL, TIPG, RDBAL, RDBAH, RDLEN, RDH, RDT,
                     RDTR, RADV, RXDCTL, TDBAL, TDBAH, TDLEN, TDH, TDT, TIDV, TADV, TXDCTL, TARC, RAL, RAH, MTA, VFTA);

/// The counters that the card has. Linux e1000e, regs.h.
struct CEXTERR : Register<CEXTERR, 0x403C, Access::rc> {};  ///< carrier extension errors
struct TSCTFC : Register<TSCTFC, 0x40FC, Access::rc> {};    ///< segmentation contexts that failed

inline constexpr auto kStatisticsRegisters = POLLUX_REGISTERS(
    "statistics", CRCERRS, ALGNERRC, RXERRC, MPC, SCC, ECOL, MCC, LATECOL, COLC, DC, TNCRS, CEXTERR, RLEC, XONRXC,
    XONTXC, XOFFRXC, XOFFTXC, FCRUC, PRC64, PRC127, PRC255, PRC511, PRC1023, PRC1522, GPRC, BPRC, MPRC, GPTC, GORCL,
    GORCH, GOTCL, GOTCH, RNBC, RUC, RFC, ROC, RJC, MGTPRC, MGTPDC, MGTPTC, TORL, TORH, TOTL, TOTH, TPR, TPT, PTC64,
    PTC127, PTC255, PTC511, PTC1023, PTC1522, MPTC, BPTC, TSCTC, TSCTFC, IAC);

}  // namespace pollux::hw::e1000e
