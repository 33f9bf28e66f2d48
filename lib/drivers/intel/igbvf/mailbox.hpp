// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "drivers/intel/igbvf/card.hpp"
#include "hw/intel/igbvf/registers.hpp"
#include "pollux/net/link.hpp"

namespace pollux::drivers::igbvf {

using Words = std::array<std::uint32_t, hw::igbvf::kMessageWords>;

/// The virtual function's side of its mailbox. Every wait is limited to one second, as in Linux's igbvf.
class Mailbox {
 public:
  /// Sends a request of 1 to 16 words and returns its answer, accepted or refused. Errors: device_removed, timeout (the
  /// physical function's driver does not answer).
  [[nodiscard]] Result<Words> ask(const IgbvfCard& card, std::span<const std::uint32_t> request);

  /// Waits until the physical function is not in a reset, and discards earlier messages. Errors: device_removed,
  /// timeout.
  [[nodiscard]] Result<void> wait_until_ready(const IgbvfCard& card);

  /// Reads unsolicited messages. Returns whether the physical function was reset, or no longer knows this function.
  [[nodiscard]] bool take_reset_notice(const IgbvfCard& card);

 private:
  /// Reads V2PMAILBOX and latches the bits that a read clears.
  reg::V2PMAILBOX::Value read_status(const IgbvfCard& card);
  /// Whether the bit has been set since the last call for it.
  [[nodiscard]] bool take_bit(const IgbvfCard& card, reg::V2PMAILBOX::Bit bit);
  [[nodiscard]] Result<void> lock(const IgbvfCard& card);
  [[nodiscard]] Result<void> send(const IgbvfCard& card, std::span<const std::uint32_t> request);
  /// Reads the message in the mailbox and releases the mailbox.
  [[nodiscard]] Result<Words> receive(const IgbvfCard& card);
  [[nodiscard]] Result<Words> ask_once(const IgbvfCard& card, std::span<const std::uint32_t> request);

  reg::V2PMAILBOX::Value latched_;
};

// The requests of a virtual function to its physical function. Errors of each: those of Mailbox::ask, and
// permission_denied if the physical function's driver refuses.

/// Resets the function and tells the physical function. Afterwards the queues are disabled and requests may be sent.
/// Returns the address that the host has assigned, if there is one.
[[nodiscard]] Result<std::optional<MacAddress>> reset_function(const IgbvfCard& card, Mailbox& mailbox);

[[nodiscard]] Result<void> request_address(const IgbvfCard& card, Mailbox& mailbox, const MacAddress& mac);
/// `bytes`: of a frame on the wire, including a VLAN tag and FCS.
[[nodiscard]] Result<void> request_max_frame(const IgbvfCard& card, Mailbox& mailbox, std::uint32_t bytes);
[[nodiscard]] Result<void> request_all_multicast(const IgbvfCard& card, Mailbox& mailbox, bool on);
/// Replaces the groups requested before. At most kMaxMulticast.
[[nodiscard]] Result<void> request_multicast(const IgbvfCard& card, Mailbox& mailbox,
                                             std::span<const MacAddress> groups);
[[nodiscard]] Result<void> request_vlan(const IgbvfCard& card, Mailbox& mailbox, std::uint16_t vlan, bool receive);

}  // namespace pollux::drivers::igbvf
