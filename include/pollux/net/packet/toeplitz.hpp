// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "pollux/base/api.hpp"

namespace pollux::packet {

/// The secret key of the hash, first byte first.
using RssKey = std::array<std::uint8_t, 40>;

/// The key of Microsoft's verification suite for RSS ("Verifying the RSS Hash Calculation"), which spreads evenly.
/// Drivers give it to their cards, so software and cards compute the same hashes.
inline constexpr RssKey kDefaultRssKey{0x6D, 0x5A, 0x56, 0xDA, 0x25, 0x5B, 0x0E, 0xC2, 0x41, 0x67,
                                       0x25, 0x3D, 0x43, 0xA3, 0x8F, 0xB0, 0xD0, 0xCA, 0x2B, 0xCB,
                                       0xAE, 0x7B, 0x30, 0xB4, 0x77, 0xCB, 0x2D, 0xA3, 0x80, 0x30,
                                       0xF2, 0x0C, 0x6A, 0x42, 0xB7, 0x3B, 0xBE, 0xAC, 0x01, 0xFA};

/// A key that repeats every 16 bits. A field then contributes the same wherever it lies, as long as it moves by whole
/// 16-bit words. So exchanging source and destination does not change the hash, and both directions of a flow go to the
/// same queue. In exchange, more flows share a hash than with other keys.
inline constexpr RssKey kSymmetricRssKey = [] {
  RssKey key{};
  for (std::size_t i = 0; i < key.size(); ++i) key[i] = i % 2 == 0 ? 0x6D : 0x5A;
  return key;
}();

/// Whether hashes with this key are the same for both directions of a flow.
[[nodiscard]] constexpr bool is_symmetric(const RssKey& key) noexcept {
  for (std::size_t i = 2; i < key.size(); ++i) {
    if (key[i] != key[i - 2]) return false;
  }
  return true;
}

/// Microsoft's Toeplitz hash, which cards use to spread flows over queues. For each set bit of the input, the 32 bits
/// of the key that start at that bit's position are combined by exclusive or ("RSS Hashing Functions", Microsoft's
/// Windows driver documentation). The input is the fields as on the wire: source address, destination address and, if
/// ports are hashed, source port and destination port; `rss_hash` in classify.hpp selects them. An object holds a table
/// of 4.5 KiB, so reuse it for many frames.
/// Thread rule: any number of threads may hash at once.
class POLLUX_API ToeplitzHash {
 public:
  /// Longest input for a key of 40 bytes: IPv6 addresses and ports.
  static constexpr std::size_t kMaxInput = 36;

  /// Computes tables for `key`; keep the object for as long as the key does not change.
  explicit ToeplitzHash(const RssKey& key = kDefaultRssKey) noexcept;

  /// The hash of the first kMaxInput bytes of `input`; later bytes are ignored.
  [[nodiscard]] std::uint32_t operator()(std::span<const std::uint8_t> input) const noexcept {
    std::uint32_t hash = 0;
    const std::size_t bytes = input.size() < kMaxInput ? input.size() : kMaxInput;
    for (std::size_t i = 0; i < bytes; ++i) hash ^= table_[2 * i][input[i] >> 4] ^ table_[2 * i + 1][input[i] & 0xF];
    return hash;
  }

 private:
  /// The contribution of each value of each half byte of the input.
  std::array<std::array<std::uint32_t, 16>, 2 * kMaxInput> table_;
};

}  // namespace pollux::packet
