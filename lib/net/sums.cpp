// SPDX-License-Identifier: BSD-3-Clause
#include "net/sums.hpp"

#include <bit>
#include <cstring>

namespace pollux {
namespace {

constexpr std::array<std::uint32_t, 256> make_table() {
  constexpr std::uint32_t kReflectedPolynomial = 0x82F63B78;
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t byte = 0; byte < table.size(); ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? kReflectedPolynomial : 0);
    table[byte] = crc;
  }
  return table;
}
constexpr std::array<std::uint32_t, 256> kTable = make_table();

std::uint16_t swapped(std::uint16_t value) noexcept { return static_cast<std::uint16_t>(value << 8 | value >> 8); }

}  // namespace

// The sum does not depend on the byte order in which it is made but for that of its result (RFC 1071, 2.B), so words
// are added as they lie. A piece that starts at an odd byte has its bytes in the other halves.
void InternetSum::add(std::span<const std::uint8_t> bytes) noexcept {
  const std::uint8_t* at = bytes.data();
  std::size_t left = bytes.size();
  std::uint64_t sum = 0;
  for (; left >= sizeof(std::uint32_t); left -= sizeof(std::uint32_t), at += sizeof(std::uint32_t)) {
    std::uint32_t word = 0;
    std::memcpy(&word, at, sizeof word);
    sum += word;
  }
  std::uint32_t rest = 0;
  if (left != 0) std::memcpy(&rest, at, left);
  std::uint16_t folded = fold(sum + rest);
  const bool is_swapped = (std::endian::native == std::endian::little) != odd_;
  sum_ += is_swapped ? swapped(folded) : folded;
  odd_ = odd_ != (bytes.size() % 2 != 0);
}

void Crc32c::add(std::span<const std::uint8_t> bytes) noexcept {
  for (const std::uint8_t byte : bytes) crc_ = crc_ >> 8 ^ kTable[(crc_ ^ byte) & 0xFF];
}

std::array<std::uint8_t, 4> Crc32c::bytes() const noexcept {
  const std::uint32_t crc = ~crc_;
  return {static_cast<std::uint8_t>(crc), static_cast<std::uint8_t>(crc >> 8), static_cast<std::uint8_t>(crc >> 16),
          static_cast<std::uint8_t>(crc >> 24)};
}

}  // namespace pollux
