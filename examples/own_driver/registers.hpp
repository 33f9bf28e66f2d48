// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

/// The registers of an invented card, shared by its driver and its model. Frames pass through two registers, word by
/// word; the card does not access memory.
namespace own_driver {

inline constexpr std::uint16_t kVendor = 0xF00D;
inline constexpr std::uint16_t kDevice = 0x0001;
inline constexpr std::uint32_t kBarBytes = 4096;
inline constexpr std::uint32_t kMaxFrame = 9018;  // bytes without FCS, with a VLAN tag

inline constexpr std::uint32_t kIdentity = 0x0000;  // reads as kIdentityValue
inline constexpr std::uint32_t kIdentityValue = 0x0DDC0DE5;
inline constexpr std::uint32_t kControl = 0x0004;  // bit 0: enables reception and transmission
inline constexpr std::uint32_t kEnable = 1;
inline constexpr std::uint32_t kStatus = 0x0008;  // bit 0: the link is up
inline constexpr std::uint32_t kLinkUp = 1;
inline constexpr std::uint32_t kAddressLow = 0x000C;   // the first four bytes of its address, the first lowest
inline constexpr std::uint32_t kAddressHigh = 0x0010;  // the last two
inline constexpr std::uint32_t kTxData = 0x0020;       // write: the next four bytes of a frame
inline constexpr std::uint32_t kTxSend = 0x0024;       // write: sends the written bytes as a frame of this length
inline constexpr std::uint32_t kRxLength = 0x0030;     // bytes of the waiting frame; 0 if there is none
inline constexpr std::uint32_t kRxData = 0x0034;       // read: its next four bytes; the last read removes it

}  // namespace own_driver
