// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <compare>
#include <concepts>
#include <cstdint>

namespace pollux {

/// A position in a ring: counts on for ever (modulo its type) and is masked only where a slot is touched. So "full" and
/// "empty" differ, and the distance of two positions is a subtraction. `Word` is a parameter so that a test can go
/// through every pair of 8-bit positions. Rings have a power of two of slots, at most half of what `Word` counts.
template <std::unsigned_integral Word>
class BasicRingIndex {
 public:
  constexpr BasicRingIndex() = default;
  constexpr explicit BasicRingIndex(Word position) noexcept : position_(position) {}

  /// The slot this position means in a ring of `mask` + 1 slots.
  [[nodiscard]] constexpr Word slot(Word mask) const noexcept { return static_cast<Word>(position_ & mask); }
  /// How far `*this` is ahead of `earlier`, in slots; right across the wrap.
  [[nodiscard]] constexpr Word distance_from(BasicRingIndex earlier) const noexcept {
    return static_cast<Word>(position_ - earlier.position_);
  }
  [[nodiscard]] constexpr Word value() const noexcept { return position_; }

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
  [[nodiscard]] friend constexpr bool operator==(BasicRingIndex, BasicRingIndex) noexcept = default;

 private:
  Word position_ = 0;
};

using RingIndex = BasicRingIndex<std::uint32_t>;

}  // namespace pollux
