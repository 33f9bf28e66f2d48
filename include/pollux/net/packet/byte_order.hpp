// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

namespace pollux::packet {

/// Read and write numbers in network byte order (most significant byte first) at any address. The caller guarantees
/// that the bytes exist.
///@{
[[nodiscard]] constexpr std::uint16_t load16(const std::uint8_t* at) noexcept {
  return static_cast<std::uint16_t>(at[0] << 8 | at[1]);
}
[[nodiscard]] constexpr std::uint32_t load32(const std::uint8_t* at) noexcept {
  return std::uint32_t{load16(at)} << 16 | load16(at + 2);
}
constexpr void store16(std::uint8_t* at, std::uint16_t number) noexcept {
  at[0] = static_cast<std::uint8_t>(number >> 8);
  at[1] = static_cast<std::uint8_t>(number);
}
constexpr void store32(std::uint8_t* at, std::uint32_t number) noexcept {
  store16(at, static_cast<std::uint16_t>(number >> 16));
  store16(at + 2, static_cast<std::uint16_t>(number));
}
///@}

}  // namespace pollux::packet
