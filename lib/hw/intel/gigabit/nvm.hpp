// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

/// Word addresses and checksum of the non-volatile memory. DPDK e1000, e1000_defines.h and e1000_82575.c.
namespace pollux::hw::gigabit::nvm {

inline constexpr std::uint16_t kMacAddress = 0x00;  ///< three words, low byte first
inline constexpr std::uint16_t kCompatibility = 0x03;
inline constexpr std::uint16_t kIdLedSettings = 0x04;
inline constexpr std::uint16_t kVersion = 0x05;
inline constexpr std::uint16_t kBoardNumber0 = 0x08;
inline constexpr std::uint16_t kBoardNumber1 = 0x09;
inline constexpr std::uint16_t kSubsystemId = 0x0B;
inline constexpr std::uint16_t kSubsystemVendorId = 0x0C;
inline constexpr std::uint16_t kDeviceId = 0x0D;
inline constexpr std::uint16_t kVendorId = 0x0E;
inline constexpr std::uint16_t kInitControl2 = 0x0F;
inline constexpr std::uint16_t kSize = 0x12;
inline constexpr std::uint16_t kInitControl4 = 0x13;
inline constexpr std::uint16_t kInitControl3Port1 = 0x14;
inline constexpr std::uint16_t kInitControl3Port0 = 0x24;
inline constexpr std::uint16_t kAlternateMacPointer = 0x37;
inline constexpr std::uint16_t kThermalSensors = 0x3E;  ///< external ones; 0 or 0xFFFF: none
inline constexpr std::uint16_t kChecksum = 0x3F;
inline constexpr std::uint16_t kTrackId = 0x42;  ///< two words, low word first; valid if bit 15 of the second is set

/// Bits of kInitControl2: the pause frames that a driver advertises by default, symmetric and asymmetric. With neither
/// bit it advertises none (Linux igb, e1000_mac.c, igb_set_default_fc; DPDK e1000, NVM_WORD0F_PAUSE_MASK).
inline constexpr std::uint16_t kPauseBoth = 0x3000;

/// Bit of kInitControl3Port0 and kInitControl3Port1: the port may wake the machine. Linux igb, igb_main.c, igb_probe
/// (IGB_EEPROM_APME).
inline constexpr std::uint16_t kMayWake = 0x0400;

/// What holds the NVM's words. Linux igb, e1000_i210.c, igb_init_nvm_params_i210.
enum class Storage : std::uint8_t {
  eeprom,   ///< an EEPROM at the pins of EECD
  flash,    ///< a flash, of which the card has a copy, if EECD.FLASH_DETECTED is set; otherwise as below
  one_time  ///< the iNVM alone, which has records of some words
};

/// The properties in which the NVMs of cards differ.
struct NvmTraits {
  /// The word that points to the alternate addresses. Linux igb, e1000_mac.c, igb_check_alt_mac_addr: from the 82580
  /// on, the option ROM handles these addresses, and drivers do not.
  std::optional<std::uint16_t> alternate_mac_pointer = kAlternateMacPointer;
  /// Distance in words between the alternate addresses of two ports. DPDK e1000, e1000_mac.c,
  /// e1000_check_alt_mac_addr_generic.
  std::uint16_t alternate_mac_step = 3;
  std::uint16_t checksum = kChecksum;  ///< the last of the words that sum to kSum
  /// Ports with words of their own. Several: each has a section with an address and a checksum.
  std::uint16_t sections = 1;
  Storage storage = Storage::eeprom;
  std::uint32_t size = 2;       ///< EECD.SIZE, as on QEMU's card (igb_core.c, igb_mac_reg_init)
  bool long_addresses = false;  ///< EECD.ADDR_BITS
};

/// The first word of a port's section. Linux igb, e1000_82575.h, NVM_82580_LAN_FUNC_OFFSET.
[[nodiscard]] constexpr std::uint16_t section_of(const NvmTraits& nvm, std::uint32_t port) noexcept {
  constexpr std::uint32_t kWords = 0x40;
  return static_cast<std::uint16_t>(nvm.sections == 1 || port == 0 ? 0 : kWords + kWords * port);
}

/// The 16-bit sum of the words 0 to kChecksum.
inline constexpr std::uint16_t kSum = 0xBABA;
inline constexpr std::size_t kSummedWords = kChecksum + 1;

[[nodiscard]] constexpr bool checksum_holds(std::span<const std::uint16_t> words) noexcept {
  std::uint16_t sum = 0;
  for (const std::uint16_t word : words) sum = static_cast<std::uint16_t>(sum + word);
  return sum == kSum;
}
/// The checksum word for the 63 words before it.
[[nodiscard]] constexpr std::uint16_t checksum_for(std::span<const std::uint16_t> words) noexcept {
  std::uint16_t sum = 0;
  for (const std::uint16_t word : words) sum = static_cast<std::uint16_t>(sum + word);
  return static_cast<std::uint16_t>(kSum - sum);
}

/// The address in words 0 to 2. The two ports of a package share these words, so read a port's own address from RAL[0]
/// and RAH[0] after a reset, where the card has loaded it (DPDK e1000, e1000_nvm.c, e1000_read_mac_addr_generic).
[[nodiscard]] constexpr std::array<std::uint8_t, 6> mac_address(std::span<const std::uint16_t, 3> words) noexcept {
  std::array<std::uint8_t, 6> address{};
  for (std::size_t i = 0; i < 3; ++i) {
    address[2 * i] = static_cast<std::uint8_t>(words[i] & 0xFF);
    address[2 * i + 1] = static_cast<std::uint8_t>(words[i] >> 8);
  }
  return address;
}

}  // namespace pollux::hw::gigabit::nvm

/// The serial EEPROM at the pins of EECD. Instructions and status bits: DPDK e1000, e1000_defines.h, NVM_*_OPCODE_SPI
/// and NVM_STATUS_*_SPI; their use: e1000_nvm.c. What the protection bits cover: 25LC040 datasheet (Microchip,
/// DS21204E), table 3-2. [I-M-SPI]
namespace pollux::hw::gigabit::eeprom {

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

}  // namespace pollux::hw::gigabit::eeprom
