// SPDX-License-Identifier: BSD-3-Clause
#include "models/intel/igb/msix_table.hpp"

#include <cstddef>

#include "models/intel/igb/register_file.hpp"

namespace pollux::models::igb {
namespace {

constexpr std::uint32_t kEntryWords = 4;
constexpr std::uint32_t kControlWord = 3;
constexpr std::uint32_t kMasked = 1;

}  // namespace

MsixTable::MsixTable(unsigned vectors) : words_(std::size_t{vectors} * kEntryWords) { reset(); }

void MsixTable::reset() {
  for (std::size_t word = 0; word < words_.size(); ++word)
    words_[word] = word % kEntryWords == kControlWord ? kMasked : 0;
  pending_ = 0;
}

bool MsixTable::masked(unsigned vector) const noexcept {
  return (words_[std::size_t{vector} * kEntryWords + kControlWord] & kMasked) != 0;
}

bool MsixTable::request(unsigned vector) {
  if (masked(vector)) pending_ |= bit(vector);
  return !masked(vector);
}

std::uint32_t MsixTable::read(std::uint32_t offset) const {
  if (offset / 4 < words_.size()) return words_[offset / 4];
  return offset == kPendingOffset ? pending_ : 0;
}

std::optional<unsigned> MsixTable::write(std::uint32_t offset, std::uint32_t value) {
  if (offset / 4 >= words_.size()) return std::nullopt;
  words_[offset / 4] = value;
  const unsigned vector = offset / (4 * kEntryWords);
  if (masked(vector) || (pending_ & bit(vector)) == 0) return std::nullopt;
  pending_ &= ~bit(vector);
  return vector;
}

}  // namespace pollux::models::igb
