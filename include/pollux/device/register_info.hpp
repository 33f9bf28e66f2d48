// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

/// @file
/// A register as data: how software may access it, where it is, and which fields it has.

namespace pollux {

/// How software may access a register. The names are the abbreviations of the datasheets.
enum class Access : std::uint8_t {
  rw,      ///< read and write
  ro,      ///< read only; writes have no effect
  wo,      ///< write only; the value of a read is undefined
  w1c,     ///< read; writing ones clears those bits
  rc,      ///< reading clears it; not written
  rc_w1c,  ///< reading clears it; writing ones clears those bits
  rw_rc,   ///< read and write; reading clears some of its bits
};

/// Whether reading returns the value without a side effect, whether a write has an effect, and whether a read clears
/// bits.
///@{
[[nodiscard]] constexpr bool readable(Access access) noexcept {
  return access == Access::rw || access == Access::ro || access == Access::w1c;
}
[[nodiscard]] constexpr bool writable(Access access) noexcept { return access != Access::ro && access != Access::rc; }
[[nodiscard]] constexpr bool clears_on_read(Access access) noexcept {
  return access == Access::rc || access == Access::rc_w1c || access == Access::rw_rc;
}
///@}
/// The datasheets' abbreviation: "RW", "RO", "WO", "W1C", "RC", "RC/W1C", "RW/RC".
[[nodiscard]] constexpr std::string_view to_string(Access access) noexcept {
  constexpr std::array<std::string_view, 7> kNames{"RW", "RO", "WO", "W1C", "RC", "RC/W1C", "RW/RC"};
  return kNames[static_cast<std::size_t>(access)];
}

/// The layout of an array of `count` registers, `bytes` apart. If the array has two blocks, the first `split` registers
/// start at the register's offset and the others at `second`.
struct Stride {
  std::uint32_t bytes = 4;      ///< bytes from one register to the next
  std::uint32_t count = 1;      ///< registers; 1: not an array
  std::uint32_t split = count;  ///< registers of the first block
  std::uint32_t second = 0;     ///< offset of the second block, in bytes
};

/// A second offset at which the first `count` registers of an array can be accessed, `bytes` apart. A count of 0 means
/// that there is no alias.
struct Alias {
  /// In bytes, bytes, and registers; see above.
  ///@{
  std::uint32_t offset = 0;
  std::uint32_t bytes = 0;
  std::uint32_t count = 0;
  ///@}
};

/// The description of a field.
struct FieldInfo {
  std::string_view name;    ///< the datasheet's
  std::uint32_t lo = 0;     ///< number of the lowest bit
  std::uint32_t width = 0;  ///< in bits, 1 to 32

  /// The field's bits, in place.
  [[nodiscard]] constexpr std::uint32_t mask() const noexcept {
    return (width >= 32 ? ~std::uint32_t{0} : (std::uint32_t{1} << width) - 1) << lo;
  }
};

/// The description of a register.
struct RegisterInfo {
  std::string_view name;     ///< the datasheet's
  std::string_view group;    ///< which registers it is listed with, as POLLUX_REGISTERS was given it
  std::uint32_t offset = 0;  ///< of index 0, in bytes
  /// As declared; `stride.count` is 1 for a register that is not an array.
  ///@{
  Stride stride;
  Alias alias;
  ///@}
  Access access = Access::rw;         ///< what reads and writes do
  std::span<const FieldInfo> fields;  ///< empty: the register has none that are declared
  std::uint32_t bits = 32;            ///< 8, 16 or 32

  /// The offset of register `index` of the array. Precondition: `index` is below `stride.count`.
  [[nodiscard]] constexpr std::uint32_t at(std::uint32_t index) const noexcept {
    return index < stride.split ? offset + index * stride.bytes : stride.second + (index - stride.split) * stride.bytes;
  }
};

}  // namespace pollux
