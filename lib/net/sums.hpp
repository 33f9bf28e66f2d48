// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace pollux {

/// The sum of an Internet checksum (RFC 1071), over bytes that may come in several pieces of any length.
class InternetSum {
 public:
  void add(std::span<const std::uint8_t> bytes) noexcept;
  /// A number in host byte order, as two 16-bit ones.
  void add(std::uint32_t number) noexcept { sum_ += (number >> 16) + (number & 0xFFFF); }
  /// In host byte order, not inverted.
  [[nodiscard]] std::uint16_t folded() const noexcept { return fold(sum_); }

 private:
  static std::uint16_t fold(std::uint64_t sum) noexcept {
    while (sum >> 16 != 0) sum = (sum & 0xFFFF) + (sum >> 16);
    return static_cast<std::uint16_t>(sum);
  }

  std::uint64_t sum_ = 0;  // in host byte order
  bool odd_ = false;       // an odd number of bytes so far
};

/// The CRC of SCTP (RFC 9260, appendix A; polynomial 0x1EDC6F41).
class Crc32c {
 public:
  void add(std::span<const std::uint8_t> bytes) noexcept;
  /// As it lies in the header: the least significant byte first.
  [[nodiscard]] std::array<std::uint8_t, 4> bytes() const noexcept;

 private:
  std::uint32_t crc_ = ~std::uint32_t{0};
};

}  // namespace pollux
