// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace pollux::examples {

/// Longest prefix match for addresses of any length: a trie that is walked byte by byte. A prefix that ends inside of a
/// byte is stored for all values of that byte that it covers (controlled prefix expansion: Srinivasan and Varghese,
/// "Faster IP Lookups using Controlled Prefix Expansion", 1998). A lookup reads at most one entry for each byte of the
/// address. A node takes 2 KiB; an IPv4 route needs three new ones at most, an IPv6 route 15.
/// Thread rule: any number of threads may look up while none inserts.
class PrefixTable {
 public:
  /// Stores `value` for the first `length` bits of `prefix`, which has that many or more. A value that was stored for
  /// the same prefix is replaced.
  void insert(std::span<const std::uint8_t> prefix, unsigned length, std::uint16_t value);
  /// The value of the longest prefix of `address`.
  [[nodiscard]] std::optional<std::uint16_t> find(std::span<const std::uint8_t> address) const noexcept {
    std::optional<std::uint16_t> best;
    std::uint32_t node = 0;
    for (const std::uint8_t byte : address) {
      const Entry& entry = nodes_[node][byte];
      if (entry.rank != 0) best = entry.value;
      node = entry.child;
      if (node == 0) break;
    }
    return best;
  }

 private:
  struct Entry {
    std::uint32_t child = 0;  // the node for the next byte; 0: none, since node 0 is the root
    std::uint16_t value = 0;
    std::uint16_t rank = 0;  // 1 + the length of the prefix; 0: no value
  };
  using Node = std::array<Entry, 256>;

  std::vector<Node> nodes_{1};
};

}  // namespace pollux::examples
