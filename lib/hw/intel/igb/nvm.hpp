// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

/// Word addresses and checksum of the non-volatile memory. DPDK e1000, e1000_defines.h and e1000_82575.c.
namespace pollux::hw::igb::nvm {

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
inline constexpr std::uint16_t kChecksum = 0x3F;
inline constexpr std::uint16_t kTrackId = 0x42;  ///< two words, low word first; valid if bit 15 of the second is set

/// Bits of kInitControl2: the pause frames that a driver advertises by default, symmetric and asymmetric. With neither
/// bit it advertises none (Linux igb, e1000_mac.c, igb_set_default_fc; DPDK e1000, NVM_WORD0F_PAUSE_MASK).
inline constexpr std::uint16_t kPauseBoth = 0x3000;

/// Bit of kInitControl3Port0 and kInitControl3Port1: the port may wake the machine. Linux igb, igb_main.c, igb_probe
/// (IGB_EEPROM_APME).
inline constexpr std::uint16_t kMayWake = 0x0400;

/// The properties in which the NVMs of cards differ.
struct NvmTraits {
  /// The word that points to the alternate addresses. Linux igb, e1000_mac.c, igb_check_alt_mac_addr: from the 82580
  /// on, the option ROM handles these addresses, and drivers do not.
  std::optional<std::uint16_t> alternate_mac_pointer = kAlternateMacPointer;
  /// Distance in words between the alternate addresses of two ports. DPDK e1000, e1000_mac.c,
  /// e1000_check_alt_mac_addr_generic.
  std::uint16_t alternate_mac_step = 3;
  std::uint16_t checksum = kChecksum;  ///< the last of the words that sum to kSum
};

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

}  // namespace pollux::hw::igb::nvm
