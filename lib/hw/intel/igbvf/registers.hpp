// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>

#include "hw/intel/registers_queue.hpp"
#include "pollux/device/register.hpp"

/// The registers of a virtual function of the 82576. Its queue registers are in registers_queue.hpp, at the alias
/// offsets. Offsets: Linux igbvf, regs.h; QEMU, hw/net/igbvf.c, vf_to_pf_addr.
namespace pollux::hw::igbvf {

/// BAR 0 has 16 KiB (QEMU, hw/net/igb_common.h, IGBVF_MMIO_SIZE); BAR 3 holds the MSI-X table.
inline constexpr std::uint32_t kRegisterBytes = 16 * 1024;
inline constexpr std::uint32_t kRegisterBar = 0;
inline constexpr std::uint32_t kMsixBar = 3;

/// Resets the function's queues and interrupts, but not the card. Linux igbvf, vf.c, e1000_reset_hw_vf.
struct CTRL : Register<CTRL, 0x0000, Access::wo> {
  static constexpr Bit RST{26};
  POLLUX_FIELDS(RST);
};

/// The physical function's link. Linux igbvf, defines.h.
struct STATUS : Register<STATUS, 0x0008, Access::ro> {
  static constexpr Bit FD{0}, LU{1};
  static constexpr Field SPEED{6, 2};
  POLLUX_FIELDS(FD, LU, SPEED);
};

/// MSI-X vectors: Linux igbvf, netdev.c, igbvf_set_interrupt_capability; QEMU, hw/net/igb_common.h, IGBVF_MSIX_VEC_NUM.
inline constexpr std::uint32_t kMsixVectors = 3;

/// Causes, masks and vectors of interrupts: bit n is vector n. They are those of the physical function, for this
/// function's vectors. Linux igbvf, regs.h.
struct EICS : Register<EICS, 0x1520, Access::wo> {};
struct EIMS : Register<EIMS, 0x1524, Access::rw> {};  ///< a write adds its ones to the mask
struct EIMC : Register<EIMC, 0x1528, Access::wo> {};  ///< writing 1 to a bit masks its vector
struct EIAC : Register<EIAC, 0x152C, Access::rw> {};  ///< causes to clear when their message is sent
struct EIAM : Register<EIAM, 0x1530, Access::rw> {};  ///< masks to clear when their message is sent
struct EICR : Register<EICR, 0x1580, Access::rc_w1c> {};
struct EITR : Register<EITR, 0x1680, Access::rw, Stride{4, 3}> {
  static constexpr Field INTERVAL{2, 13};
  POLLUX_FIELDS(INTERVAL);
};
/// The vectors of the queues 0 and 1. Linux igbvf, netdev.c, igbvf_assign_vector.
struct VTIVAR : Register<VTIVAR, 0x1700, Access::rw> {
  static constexpr Field RX0{0, 2}, TX0{8, 2}, RX1{16, 2}, TX1{24, 2};
  static constexpr Bit RX0_VALID{7}, TX0_VALID{15}, RX1_VALID{23}, TX1_VALID{31};
  POLLUX_FIELDS(RX0, TX0, RX1, TX1, RX0_VALID, TX0_VALID, RX1_VALID, TX1_VALID);
};
/// The vector of the mailbox.
struct VTIVAR_MISC : Register<VTIVAR_MISC, 0x1740, Access::rw> {
  static constexpr Field MAILBOX{0, 2};
  static constexpr Bit MAILBOX_VALID{7};
  POLLUX_FIELDS(MAILBOX, MAILBOX_VALID);
};

/// The function's side of the mailbox. Bits: Linux igbvf, mbx.h. A read clears PFSTS, PFACK and RSTD.
struct V2PMAILBOX : Register<V2PMAILBOX, 0x0C40, Access::rw_rc> {
  static constexpr Bit REQ{0};    ///< a message for the physical function is in the memory
  static constexpr Bit ACK{1};    ///< the physical function's message has been read
  static constexpr Bit VFU{2};    ///< the virtual function holds the memory
  static constexpr Bit PFU{3};    ///< the physical function holds the memory
  static constexpr Bit PFSTS{4};  ///< a message of the physical function is in the memory
  static constexpr Bit PFACK{5};  ///< the physical function has read the message
  static constexpr Bit RSTI{6};   ///< the physical function is being reset
  static constexpr Bit RSTD{7};   ///< the physical function's reset has ended
  POLLUX_FIELDS(REQ, ACK, VFU, PFU, PFSTS, PFACK, RSTI, RSTD);
};
/// The mailbox's memory, which both sides write.
struct VMBMEM : Register<VMBMEM, 0x0800, Access::rw, Stride{4, 16}> {};

/// Counters of 32 bits, which wrap and are never cleared: good frames and octets (including FCS), multicast frames, and
/// frames and octets between functions inside the card. Linux igbvf, netdev.c, igbvf_update_stats.
struct VFGPRC : Register<VFGPRC, 0x0F10, Access::ro> {};
struct VFGPTC : Register<VFGPTC, 0x0F14, Access::ro> {};
struct VFGORC : Register<VFGORC, 0x0F18, Access::ro> {};
struct VFGOTC : Register<VFGOTC, 0x0F34, Access::ro> {};
struct VFMPRC : Register<VFMPRC, 0x0F3C, Access::ro> {};
struct VFGPRLBC : Register<VFGPRLBC, 0x0F40, Access::ro> {};
struct VFGPTLBC : Register<VFGPTLBC, 0x0F44, Access::ro> {};
struct VFGORLBC : Register<VFGORLBC, 0x0F48, Access::ro> {};
struct VFGOTLBC : Register<VFGOTLBC, 0x0F50, Access::ro> {};

/// Access to a virtual function's registers. STATUS has no side effect and is never all ones on a live card.
using Registers = RegisterWindow<STATUS, AliasOffsets>;

/// The function's registers without those of its queues, for a register dump.
inline constexpr auto kRegisters = POLLUX_REGISTERS("function", CTRL, STATUS, EICS, EIMS, EIMC, EIAC, EIAM, EICR, EITR,
                                                    VTIVAR, VTIVAR_MISC, V2PMAILBOX, VMBMEM, VFGPRC, VFGPTC, VFGORC,
                                                    VFGOTC, VFMPRC, VFGPRLBC, VFGPTLBC, VFGORLBC, VFGOTLBC);

// The mailbox messages between a virtual function and the driver of its physical function. The first word has a kind,
// eight bits of information and three flags; up to 15 words follow. Linux igbvf, mbx.h; igb, e1000_mbx.h and
// igb_main.c, igb_rcv_msg_from_vf.

inline constexpr std::size_t kMessageWords = 16;

enum class Message : std::uint32_t {
  reset = 0x01,          ///< answered with the function's address, or refused if it has none
  set_address = 0x02,    ///< six bytes from the second word on
  set_multicast = 0x03,  ///< 16-bit hashes from the second word on, their number in the information
  set_vlan = 0x04,       ///< a VLAN in the second word; information 1 adds, 0 removes
  set_max_frame = 0x05,  ///< bytes with FCS in the second word
  set_promiscuous = 0x06,
  control = 0x0100,  ///< from the physical function, after a change
};

inline constexpr std::uint32_t kKindMask = 0xFFFF;
inline constexpr unsigned kInformationShift = 16;
inline constexpr std::uint32_t kPromiscuousMulticast = 0x02;  ///< information of set_promiscuous
inline constexpr std::size_t kMaxMulticast = 30;              ///< hashes in a message

/// Flags of the answering side.
inline constexpr std::uint32_t kAccepted = 0x8000'0000;
inline constexpr std::uint32_t kRefused = 0x4000'0000;
inline constexpr std::uint32_t kClearToSend = 0x2000'0000;  ///< the function may send requests

[[nodiscard]] constexpr std::uint32_t first_word(Message kind, std::uint32_t information = 0) noexcept {
  return static_cast<std::uint32_t>(kind) | information << kInformationShift;
}
[[nodiscard]] constexpr Message kind_of(std::uint32_t word) noexcept { return static_cast<Message>(word & kKindMask); }

}  // namespace pollux::hw::igbvf
