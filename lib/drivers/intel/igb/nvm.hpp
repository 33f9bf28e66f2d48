// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "drivers/intel/igb/card.hpp"
#include "pollux/net/link.hpp"

namespace pollux::drivers::igb {

/// After this time who reads or writes releases the NVM for others. They take it away from an owner that holds it for a
/// second.
inline constexpr Duration kHoldLimit = milliseconds(200);
/// Longer than the interval at which others try to acquire the NVM (SharedResource).
inline constexpr Duration kPauseForOthers = milliseconds(10);

/// Reads NVM words from `first` on. Errors: device_removed, timeout.
[[nodiscard]] Result<void> read_nvm(const Card& card, std::uint16_t first, std::span<std::uint16_t> words);

/// Checks that there is an NVM, and its checksum. Errors: not_supported (the card has no NVM), device_fault (the NVM is
/// damaged, and so are the settings that the card loaded from it), device_removed, timeout.
[[nodiscard]] Result<void> check_nvm(const Card& card);

/// The port's permanent address: the alternate one if the NVM names one, otherwise the one that the card loaded into
/// RAL[0] and RAH[0] at reset, otherwise the one in the NVM's words. An invalid address is replaced by a random,
/// locally administered one, with a warning. Call it after a reset. Errors: device_removed, timeout.
[[nodiscard]] Result<MacAddress> permanent_mac(const Card& card);

}  // namespace pollux::drivers::igb
