// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>
#include <string>

namespace pollux::conformance {

/// Puts this thread into a network of its own, once, where TAP interfaces can be made and no other program sends. An
/// ordinary user gets one where the system allows user namespaces. Throws.
void enter_own_network();

/// Why that, or making a TAP interface in it, does not work on this machine; tried in a process of its own.
[[nodiscard]] std::optional<std::string> own_network_obstacle();

}  // namespace pollux::conformance
