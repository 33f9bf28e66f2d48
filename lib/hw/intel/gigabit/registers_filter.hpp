// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "pollux/device/register.hpp"

/// Filters of addresses and VLANs. Offsets: Linux igb, e1000_regs.h; bits: e1000_82575.h and e1000_defines.h; aliases:
/// QEMU, hw/net/e1000x_regs.h.
namespace pollux::hw::gigabit {

/// Exact-match filters for MAC addresses, in two blocks: from 0 and from 16 on. A card has as many as its traits say.
struct RAL : Register<RAL, 0x5400, Access::rw, Stride{8, 32, 16, 0x54E0}, Alias{0x0040, 8, 16}> {};

struct RAH : Register<RAH, 0x5404, Access::rw, Stride{8, 32, 16, 0x54E4}, Alias{0x0044, 8, 16}> {
  static constexpr Field ADDRESS{0, 16}, ASEL{16, 2};
  static constexpr Field POOLSEL{18, 8};  ///< one bit per pool
  static constexpr Bit AV{31};
  POLLUX_FIELDS(ADDRESS, ASEL, POOLSEL, AV);
};

/// Tables of 4096 bits: multicast hashes, unicast hashes, and VLANs (one bit per tag).
struct MTA : Register<MTA, 0x5200, Access::rw, Stride{4, 128}, Alias{0x0200, 4, 128}> {};

struct VFTA : Register<VFTA, 0x5600, Access::rw, Stride{4, 128}, Alias{0x0600, 4, 128}> {};

/// Causes of interrupts, and transmit control: a card declares their fields.
struct ICR : Register<ICR, 0x00C0, Access::rc_w1c> {};
struct ICS : Register<ICS, 0x00C8, Access::wo> {};
struct IMS : Register<IMS, 0x00D0, Access::rw> {};
struct IMC : Register<IMC, 0x00D8, Access::wo> {};
struct TCTL : Register<TCTL, 0x0400, Access::rw> {
  static constexpr Bit PSP{3};
  POLLUX_FIELDS(PSP);
};
/// Receive control, as far as all cards have it. A card declares the whole register.
struct RCTL : Register<RCTL, 0x0100, Access::rw> {
  static constexpr Bit RXEN{1}, MPE{4}, BAM{15};
  POLLUX_FIELDS(RXEN, MPE, BAM);
};

/// Receive-side scaling. MRQC selects the mode and the hashed types: a card declares its fields. Entry n of the table
/// is byte n % 4 of register n / 4, and so is byte n of the key.
struct MRQC : Register<MRQC, 0x5818, Access::rw> {};
struct RETA : Register<RETA, 0x5C00, Access::rw, Stride{4, 32}> {
  static constexpr Field ENTRY0{0, 8}, ENTRY1{8, 8}, ENTRY2{16, 8}, ENTRY3{24, 8};
  POLLUX_FIELDS(ENTRY0, ENTRY1, ENTRY2, ENTRY3);
};
struct RSSRK : Register<RSSRK, 0x5C80, Access::rw, Stride{4, 10}> {};

}  // namespace pollux::hw::gigabit
