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

}  // namespace pollux::conformance
