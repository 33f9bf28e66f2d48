// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "pollux/pci/network_state.hpp"
#include "pollux/pci/paths.hpp"

namespace pollux::pci {

/// The local address of each established TCP connection. `net` is the directory of procfs for a network namespace, such
/// as /proc/thread-self/net.
[[nodiscard]] std::vector<IpPrefix> tcp_connections(const std::filesystem::path& net);

/// The address of this machine to which the user of this process, or of one of its parents, is connected by ssh.
[[nodiscard]] std::optional<IpPrefix> ssh_session(const SystemPaths& paths);

}  // namespace pollux::pci
