// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "drivers/intel/igb/card.hpp"
#include "pollux/net/link.hpp"

namespace pollux::drivers::igb {

/// Reads words from `first` on. Errors: device_removed, timeout.
[[nodiscard]] Result<void> read_nvm(const Card& card, std::uint16_t first, std::span<std::uint16_t> words);

/// Checks the NVM's checksum, unless the card has no NVM (said as a warning). A card whose NVM is damaged has loaded
/// damaged settings from it, so that is the error device_fault. Others: device_removed, timeout.
[[nodiscard]] Result<void> check_nvm(const Card& card);

/// The port's own address: the alternate one where the NVM names one, else what the card has put into RAL and RAH 0
/// after its reset. An address that cannot be a port's is replaced by a random, locally administered one and said as a
/// warning. Call after a reset. Errors: device_removed, timeout.
[[nodiscard]] Result<MacAddress> permanent_mac(const Card& card);

}  // namespace pollux::drivers::igb
