// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>
#include <string>

namespace pollux::conformance {

/// Moves this thread to a new network namespace, once. There it can create TAP interfaces, and no other program sends.
/// Without root this needs user namespaces. Throws.
void enter_own_network();

/// The reason why a network namespace or a TAP interface in it cannot be created; nullopt if both can. A child process
/// tries it.
[[nodiscard]] std::optional<std::string> own_network_obstacle();

/// Creates two connected interfaces in the namespace that `enter_own_network` has made, with eight queues each and room
/// for frames of 9 KB, unless they exist. Throws.
void make_veth_pair(const std::string& left, const std::string& right);

/// The reason why programs of XDP cannot be attached in a network namespace; nullopt if they can.
[[nodiscard]] std::optional<std::string> xdp_obstacle();

}  // namespace pollux::conformance
