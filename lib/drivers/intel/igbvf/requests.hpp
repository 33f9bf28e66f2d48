// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "drivers/intel/igbvf/mailbox.hpp"
#include "pollux/net/link.hpp"

/// The requests of a virtual function to its physical function. Errors of each: those of Mailbox::ask, and
/// permission_denied if the physical function's driver refuses.
namespace pollux::drivers::igbvf {

/// Resets the function and tells the physical function. Afterwards the queues are disabled and requests may be sent.
/// Returns the address that the host has assigned, if there is one.
[[nodiscard]] Result<std::optional<MacAddress>> reset_function(const Card& card, Mailbox& mailbox);

[[nodiscard]] Result<void> request_address(const Card& card, Mailbox& mailbox, const MacAddress& mac);
/// `bytes`: of a frame on the wire, including a VLAN tag and FCS.
[[nodiscard]] Result<void> request_max_frame(const Card& card, Mailbox& mailbox, std::uint32_t bytes);
[[nodiscard]] Result<void> request_all_multicast(const Card& card, Mailbox& mailbox, bool on);
/// Replaces the groups requested before. At most kMaxMulticast.
[[nodiscard]] Result<void> request_multicast(const Card& card, Mailbox& mailbox, std::span<const MacAddress> groups);
[[nodiscard]] Result<void> request_vlan(const Card& card, Mailbox& mailbox, std::uint16_t vlan, bool receive);

}  // namespace pollux::drivers::igbvf
