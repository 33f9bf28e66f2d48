// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

/// The serial EEPROM at the pins of EECD. Instructions and status bits: DPDK e1000, e1000_defines.h, NVM_*_OPCODE_SPI
/// and NVM_STATUS_*_SPI; their use: e1000_nvm.c. What the protection bits cover: 25LC040 datasheet (Microchip,
/// DS21204E), table 3-2. [I-M-SPI]
namespace pollux::hw::igb::eeprom {

inline constexpr std::uint8_t kWriteStatus = 0x01;
inline constexpr std::uint8_t kWrite = 0x02;
inline constexpr std::uint8_t kRead = 0x03;
inline constexpr std::uint8_t kWriteDisable = 0x04;
inline constexpr std::uint8_t kReadStatus = 0x05;
inline constexpr std::uint8_t kWriteEnable = 0x06;
/// Of kRead and kWrite, where an address has 8 bits: bit 8 of the address.
inline constexpr std::uint8_t kAddressBit8 = 0x08;

// The status register.
inline constexpr std::uint8_t kBusy = 0x01;  ///< a write is in progress
inline constexpr std::uint8_t kWriteEnabled = 0x02;
inline constexpr unsigned kProtectionShift = 2;  ///< two bits: nothing, the upper quarter, the upper half, everything
inline constexpr std::uint8_t kProtection = 0x0C;

/// The first byte of `bytes` that this protection (0 to 3) covers; `bytes` if it covers none.
[[nodiscard]] constexpr std::uint32_t first_protected(std::uint32_t protection, std::uint32_t bytes) noexcept {
  switch (protection & 3) {
    case 0: return bytes;
    case 1: return bytes / 4 * 3;
    case 2: return bytes / 2;
    default: return 0;
  }
}

/// The sizes of the EEPROM, which EECD.SIZE and ADDR_BITS say: Linux, e1000_82575.c, igb_init_nvm_params_82575.
struct Geometry {
  std::uint32_t words = 0;
  std::uint32_t page_bytes = 0;    ///< a write stays in its page
  std::uint32_t address_bits = 0;  ///< 8 or 16
};
[[nodiscard]] constexpr Geometry geometry(std::uint32_t size, bool long_addresses) noexcept {
  constexpr std::uint32_t kSmallest = 6;
  constexpr std::uint32_t kLargest = 15;
  const std::uint32_t shift = size + kSmallest < kLargest ? size + kSmallest : kLargest;
  const std::uint32_t page = shift == kLargest ? 128 : long_addresses ? 32 : 8;
  return {std::uint32_t{1} << shift, page, long_addresses ? std::uint32_t{16} : std::uint32_t{8}};
}

}  // namespace pollux::hw::igb::eeprom
