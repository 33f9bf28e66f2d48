// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>

#include "drivers/intel/gigabit/card.hpp"
#include "pollux/net/rss.hpp"

namespace pollux::drivers::gigabit {

/// Which bit of MRQC lets the card hash a type of frames.
struct HashBit {
  RssTypes::Bit type;
  std::uint32_t bit;
};

/// How a card spreads frames.
struct RssFormat {
  std::span<const HashBit> bits;
  std::uint32_t mode = 0;   ///< of MRQC
  std::uint32_t shift = 0;  ///< of a queue in an entry of the table
};

/// Writes key, table and MRQC. With no types it writes MRQC alone, which turns the hash off.
void write_rss(const GigabitCard& card, const RssConfig& config, const RssFormat& format);

}  // namespace pollux::drivers::gigabit
