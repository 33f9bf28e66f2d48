// SPDX-License-Identifier: BSD-3-Clause
#include "l3fwd/prefix_table.hpp"

namespace pollux::examples {

void PrefixTable::insert(std::span<const std::uint8_t> prefix, unsigned length, std::uint16_t value) {
  std::size_t node = 0;
  std::size_t at = 0;
  unsigned left = length;  // bits of the prefix from byte `at` on
  for (; left > 8; left -= 8, ++at) {
    std::uint32_t child = nodes_[node][prefix[at]].child;
    if (child == 0) {
      child = static_cast<std::uint32_t>(nodes_.size());
      nodes_.emplace_back();
      nodes_[node][prefix[at]].child = child;
    }
    node = child;
  }
  const unsigned covered = 1U << (8 - left);  // values of the last byte
  const unsigned first = left == 0 ? 0 : prefix[at] & ~(covered - 1);
  const auto rank = static_cast<std::uint16_t>(length + 1);
  for (unsigned byte = first; byte < first + covered; ++byte) {
    Entry& entry = nodes_[node][byte];
    if (rank >= entry.rank) {
      entry.value = value;
      entry.rank = rank;
    }
  }
}

}  // namespace pollux::examples
