// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

namespace pollux::gro {

/// Words of headers as they are in memory: enough to compare them.
[[nodiscard]] inline std::uint16_t word16(const std::uint8_t* at) noexcept {
  std::uint16_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}
[[nodiscard]] inline std::uint32_t word32(const std::uint8_t* at) noexcept {
  std::uint32_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}
[[nodiscard]] inline std::uint64_t word64(const std::uint8_t* at) noexcept {
  std::uint64_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

/// A number between host and network byte order, in either direction.
[[nodiscard]] constexpr std::uint16_t swap16(std::uint16_t number) noexcept {
  return std::endian::native == std::endian::little ? __builtin_bswap16(number) : number;
}
[[nodiscard]] constexpr std::uint32_t swap32(std::uint32_t number) noexcept {
  return std::endian::native == std::endian::little ? __builtin_bswap32(number) : number;
}

// Bytes of headers.
inline constexpr std::uint16_t kEthernet = 14;
inline constexpr std::uint16_t kTag = 4;
inline constexpr std::uint16_t kIpv4 = 20;  ///< without options
inline constexpr std::uint16_t kIpv6 = 40;

/// The flag of an IPv4 header's fourth half word, as it is in memory.
inline constexpr std::uint16_t kDontFragment = swap16(0x4000);

}  // namespace pollux::gro
