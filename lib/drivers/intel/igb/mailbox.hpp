// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "drivers/intel/igb/card.hpp"
#include "hw/intel/igbvf/registers.hpp"

/// The physical function's side of the mailboxes. No function waits, since a virtual function could make it wait.
namespace pollux::drivers::igb {

using MailboxWords = std::array<std::uint32_t, hw::igbvf::kMessageWords>;

/// What has happened since the last call; one bit per virtual function.
struct MailboxEvents {
  std::uint32_t resets = 0;
  std::uint32_t requests = 0;
  std::uint32_t acknowledgements = 0;
};
/// Reads and clears the events of the first `count` functions.
[[nodiscard]] MailboxEvents take_mailbox_events(const Card& card, unsigned count);
/// Whether this function was reset since the events were taken. Clears that event alone.
[[nodiscard]] bool take_reset(const Card& card, unsigned function);

/// Reads the message of a function and acknowledges it. nullopt: the function holds the memory, and does not release it
/// when told to; or the card was removed.
[[nodiscard]] std::optional<MailboxWords> read_message(const Card& card, unsigned function);

/// Sends 1 to 16 words, which replace what the mailbox holds. Returns false if the function holds the memory.
bool write_message(const Card& card, unsigned function, std::span<const std::uint32_t> words);

}  // namespace pollux::drivers::igb
