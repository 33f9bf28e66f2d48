// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "drivers/intel/igbvf/card.hpp"
#include "hw/intel/igbvf/messages.hpp"

namespace pollux::drivers::igbvf {

using Words = std::array<std::uint32_t, hw::igbvf::kMessageWords>;

/// The function's side of its mailbox. Every wait is bounded by a second, which is how long Linux's igbvf waits.
class Mailbox {
 public:
  /// Sends a request of 1 to 16 words and returns the answer to it, accepted or refused. Errors: device_removed,
  /// timeout (the physical function's driver does not answer).
  [[nodiscard]] Result<Words> ask(const Card& card, std::span<const std::uint32_t> request);

  /// Waits until the physical function is not in a reset, and forgets what came before. Errors: device_removed,
  /// timeout.
  [[nodiscard]] Result<void> wait_until_ready(const Card& card);

  /// Takes what has come unasked: whether the physical function was reset, or no longer knows this one.
  [[nodiscard]] bool take_reset_notice(const Card& card);

 private:
  /// Reads the register, and keeps the bits that reading clears.
  reg::V2PMAILBOX::Value look(const Card& card);
  /// Whether the bit was set since it was taken last.
  [[nodiscard]] bool take(const Card& card, reg::V2PMAILBOX::Bit bit);
  [[nodiscard]] Result<void> lock(const Card& card);
  [[nodiscard]] Result<void> send(const Card& card, std::span<const std::uint32_t> request);
  /// Reads the message that is there and gives the mailbox back.
  [[nodiscard]] Result<Words> receive(const Card& card);
  [[nodiscard]] Result<Words> ask_once(const Card& card, std::span<const std::uint32_t> request);

  reg::V2PMAILBOX::Value kept_;
};

}  // namespace pollux::drivers::igbvf
