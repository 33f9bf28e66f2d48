// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/net/packet/toeplitz.hpp"

namespace pollux::packet {
namespace {

/// The 32 bits of the key from bit `first` on, which span at most 5 bytes.
std::uint32_t key_window(const RssKey& key, std::size_t first) noexcept {
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < 5; ++i) {
    const std::size_t byte = first / 8 + i;
    bits = bits << 8 | (byte < key.size() ? key[byte] : 0U);
  }
  return static_cast<std::uint32_t>(bits >> (8 - first % 8));
}

}  // namespace

ToeplitzHash::ToeplitzHash(const RssKey& key) noexcept {
  for (std::size_t half = 0; half < table_.size(); ++half) {
    for (std::uint32_t value = 0; value < 16; ++value) {
      std::uint32_t hash = 0;
      for (std::size_t bit = 0; bit < 4; ++bit) {
        if ((value >> (3 - bit) & 1) != 0) hash ^= key_window(key, half * 4 + bit);
      }
      table_[half][value] = hash;
    }
  }
}

}  // namespace pollux::packet
