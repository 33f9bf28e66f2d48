// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <concepts>
#include <cstdint>

namespace pollux {

/// A position in a ring. It counts up without limit (modulo its type) and is masked only to find the slot. So a full
/// ring differs from an empty one, and the distance of two positions is a subtraction. A ring has a power of two of
/// slots, at most half of the values of `Word`. A test uses 8-bit words to check every pair of positions.
template <std::unsigned_integral Word>
class BasicRingIndex {
 public:
  constexpr BasicRingIndex() = default;
  /// Any value of `Word`, such as one read from another thread's position.
  constexpr explicit BasicRingIndex(Word position) noexcept : position_(position) {}

  /// The slot of this position in a ring of `mask` + 1 slots.
  [[nodiscard]] constexpr Word slot(Word mask) const noexcept { return static_cast<Word>(position_ & mask); }
  /// Slots from `earlier` to this position; also correct after a wrap.
  [[nodiscard]] constexpr Word distance_from(BasicRingIndex earlier) const noexcept {
    return static_cast<Word>(position_ - earlier.position_);
  }
  /// The unmasked count, as a ring stores it for other threads.
  [[nodiscard]] constexpr Word value() const noexcept { return position_; }

  /// Moves by `slots`, modulo the type.
  ///@{
  constexpr BasicRingIndex& operator+=(Word slots) noexcept {
    position_ = static_cast<Word>(position_ + slots);
    return *this;
  }
  constexpr BasicRingIndex& operator++() noexcept { return *this += 1; }
  [[nodiscard]] friend constexpr BasicRingIndex operator+(BasicRingIndex index, Word slots) noexcept {
    return index += slots;
  }
  [[nodiscard]] friend constexpr BasicRingIndex operator-(BasicRingIndex index, Word slots) noexcept {
    return BasicRingIndex(static_cast<Word>(index.position_ - slots));
  }
  ///@}
  [[nodiscard]] friend constexpr bool operator==(BasicRingIndex, BasicRingIndex) noexcept = default;

 private:
  Word position_ = 0;
};

/// Positions of 32 bits: enough for a ring of 2^31 slots.
using RingIndex = BasicRingIndex<std::uint32_t>;

}  // namespace pollux
