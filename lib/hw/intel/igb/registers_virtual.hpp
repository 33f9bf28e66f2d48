// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "pollux/device/register.hpp"

/// Pools, the switch between them, and virtual functions. Offsets and access: QEMU, hw/net/igb_regs.h and igb_core.c;
/// mirroring and storm control: DPDK e1000, e1000_regs.h. Bits: Linux igb, e1000_82575.h.
namespace pollux::hw::igb {

/// Pool control.
struct VT_CTL : Register<VT_CTL, 0x581C, Access::rw> {
  static constexpr Field DEFAULT_POOL{7, 3};
  static constexpr Bit IGNORE_MAC{28}, DISABLE_DEFAULT_POOL{29}, REPLICATION_EN{30};
  POLLUX_FIELDS(DEFAULT_POOL, IGNORE_MAC, DISABLE_DEFAULT_POOL, REPLICATION_EN);
};

/// The packets that a pool accepts.
struct VMOLR : Register<VMOLR, 0x5AD0, Access::rw, Stride{4, 8}> {
  static constexpr Field RLPML{0, 14};
  static constexpr Bit LPE{16}, RSSE{17}, VPE{23}, AUPE{24}, ROMPE{25}, ROPE{26}, BAM{27}, MPME{28}, STRVLAN{30},
      STRCRC{31};
  POLLUX_FIELDS(RLPML, LPE, RSSE, VPE, AUPE, ROMPE, ROPE, BAM, MPME, STRVLAN, STRCRC);
};
/// The same for replicated packets.
struct RPLOLR : Register<RPLOLR, 0x5AF0, Access::rw> {
  static constexpr Bit STRVLAN{30}, STRCRC{31};
  POLLUX_FIELDS(STRVLAN, STRCRC);
};
/// What the DMA engine strips from a pool's packets.
struct DVMOLR : Register<DVMOLR, 0xC038, Access::rw, Stride{0x40, 8}> {
  static constexpr Bit HIDVLAN{29}, STRVLAN{30}, STRCRC{31};
  POLLUX_FIELDS(HIDVLAN, STRVLAN, STRCRC);
};
/// The pools that receive a VLAN's packets.
struct VLVF : Register<VLVF, 0x5D00, Access::rw, Stride{4, 32}> {
  static constexpr Field VLANID{0, 12}, POOLSEL{12, 8};
  static constexpr Bit LVLAN{20}, VLANID_ENABLE{31};
  POLLUX_FIELDS(VLANID, POOLSEL, LVLAN, VLANID_ENABLE);
};
/// The tag inserted into a pool's packets.
struct VMVIR : Register<VMVIR, 0x3700, Access::rw, Stride{4, 8}> {
  static constexpr Field TAG{0, 16};
  static constexpr Bit ALWAYS_DEFAULT{30}, NEVER_INSERT{31};
  POLLUX_FIELDS(TAG, ALWAYS_DEFAULT, NEVER_INSERT);
};

struct SWPBS : Register<SWPBS, 0x3004, Access::rw> {};  ///< the switch's packet buffer
struct DTXSWC : Register<DTXSWC, 0x3500, Access::rw> {
  static constexpr Field MAC_SPOOF{0, 8}, VLAN_SPOOF{8, 8}, LOCAL_LOOPBACK{16, 8};
  static constexpr Bit VMDQ_LOOPBACK_EN{31};
  POLLUX_FIELDS(MAC_SPOOF, VLAN_SPOOF, LOCAL_LOOPBACK, VMDQ_LOOPBACK_EN);
};
struct WVBR : Register<WVBR, 0x3554, Access::rc> {};  ///< the pools that misbehaved
struct TXSWC : Register<TXSWC, 0x5ACC, Access::rw> {};
struct IOVCTL : Register<IOVCTL, 0x5BBC, Access::rw> {
  static constexpr Bit REUSE_VFQ{0};
  POLLUX_FIELDS(REUSE_VFQ);
};

/// The virtual functions that may receive, that may send, and that were reset.
struct VFRE : Register<VFRE, 0x0C8C, Access::rw> {
  static constexpr Field POOLS{0, 8};
  POLLUX_FIELDS(POOLS);
};
struct VFTE : Register<VFTE, 0x0C90, Access::rw> {
  static constexpr Field POOLS{0, 8};
  POLLUX_FIELDS(POOLS);
};
struct VFLRE : Register<VFLRE, 0x0C88, Access::w1c> {
  static constexpr Field POOLS{0, 8};
  POLLUX_FIELDS(POOLS);
};

/// Mailboxes to virtual functions, one per function, each with 64 bytes of memory.
struct P2VMAILBOX : Register<P2VMAILBOX, 0x0C00, Access::rw, Stride{4, 8}> {
  static constexpr Bit STS{0}, ACK{1}, VFU{2}, PFU{3}, RVFU{4};
  POLLUX_FIELDS(STS, ACK, VFU, PFU, RVFU);
};
struct MBVFICR : Register<MBVFICR, 0x0C80, Access::w1c> {
  static constexpr Field REQUEST{0, 8}, ACKNOWLEDGE{16, 8};
  POLLUX_FIELDS(REQUEST, ACKNOWLEDGE);
};
struct MBVFIMR : Register<MBVFIMR, 0x0C84, Access::rw> {
  static constexpr Field POOLS{0, 8};
  POLLUX_FIELDS(POOLS);
};
struct VMBMEM : Register<VMBMEM, 0x0800, Access::rw, Stride{4, 128}> {};

/// A virtual function's registers as the physical one sees them: reset, and counters that are not cleared.
struct PVTCTRL : Register<PVTCTRL, 0x10000, Access::wo, Stride{0x100, 8}> {
  static constexpr Bit RST{26};
  POLLUX_FIELDS(RST);
};
struct PVFGPRC : Register<PVFGPRC, 0x10010, Access::ro, Stride{0x100, 8}> {};
struct PVFGPTC : Register<PVFGPTC, 0x10014, Access::ro, Stride{0x100, 8}> {};
struct PVFGORC : Register<PVFGORC, 0x10018, Access::ro, Stride{0x100, 8}> {};
struct PVFGOTC : Register<PVFGOTC, 0x10034, Access::ro, Stride{0x100, 8}> {};
struct PVFMPRC : Register<PVFMPRC, 0x1003C, Access::ro, Stride{0x100, 8}> {};
struct PVFGPRLBC : Register<PVFGPRLBC, 0x10040, Access::ro, Stride{0x100, 8}> {};
struct PVFGPTLBC : Register<PVFGPTLBC, 0x10044, Access::ro, Stride{0x100, 8}> {};
struct PVFGORLBC : Register<PVFGORLBC, 0x10048, Access::ro, Stride{0x100, 8}> {};
struct PVFGOTLBC : Register<PVFGOTLBC, 0x10050, Access::ro, Stride{0x100, 8}> {};

/// Mirroring rules, and limits on broadcast and multicast storms.
struct VMRCTL : Register<VMRCTL, 0x5D80, Access::rw, Stride{4, 4}> {
  static constexpr Bit POOL_MIRROR{0}, UPLINK_MIRROR{1}, DOWNLINK_MIRROR{2};
  static constexpr Field DESTINATION{8, 3};
  POLLUX_FIELDS(POOL_MIRROR, UPLINK_MIRROR, DOWNLINK_MIRROR, DESTINATION);
};
struct VMRVLAN : Register<VMRVLAN, 0x5D90, Access::rw, Stride{4, 4}> {};
struct VMRVM : Register<VMRVM, 0x5DA0, Access::rw, Stride{4, 4}> {};
struct SCCRL : Register<SCCRL, 0x5DB0, Access::rw> {};
struct BSCTRH : Register<BSCTRH, 0x5DB8, Access::rw> {};
struct MSCTRH : Register<MSCTRH, 0x5DBC, Access::rw> {};

inline constexpr auto kVirtualRegisters = POLLUX_REGISTERS(
    "virtual", VT_CTL, VMOLR, RPLOLR, DVMOLR, VLVF, VMVIR, SWPBS, DTXSWC, WVBR, TXSWC, IOVCTL, VFRE, VFTE, VFLRE,
    P2VMAILBOX, MBVFICR, MBVFIMR, VMBMEM, PVTCTRL, PVFGPRC, PVFGPTC, PVFGORC, PVFGOTC, PVFMPRC, PVFGPRLBC, PVFGPTLBC,
    PVFGORLBC, PVFGOTLBC, VMRCTL, VMRVLAN, VMRVM, SCCRL, BSCTRH, MSCTRH);

}  // namespace pollux::hw::igb
