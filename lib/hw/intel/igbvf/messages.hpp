// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>

/// The mailbox messages between a virtual function and the driver of its physical function. The first word has a kind,
/// eight bits of information and three flags; up to 15 words follow. Linux igbvf, mbx.h; igb, e1000_mbx.h and
/// igb_main.c, igb_rcv_msg_from_vf.
namespace pollux::hw::igbvf {

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
