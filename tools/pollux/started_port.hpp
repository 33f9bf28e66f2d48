// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <string>

#include "environment.hpp"
#include "pollux/mem/mempool.hpp"
#include "report.hpp"

namespace pollux::tool {

/// Autonegotiation to 1000BASE-T takes about three seconds.
inline constexpr Duration kLinkLimit = std::chrono::seconds(5);

/// Opens a port for one command. Error not_supported if the environment opens no ports.
[[nodiscard]] Result<Port> open_port(const Environment& environment, const std::string& uri);

/// Starts `port` with one small queue in each direction, which take their buffers from `pool`.
[[nodiscard]] Result<void> start_port(Port& port, const Mempool& pool);

/// Opens a port, calls `before`, starts the port, calls `after`, and closes it. The first error ends this.
[[nodiscard]] Result<void> with_started_port(const Environment& environment, const std::string& uri,
                                             const std::function<Result<void>(Port&)>& before,
                                             const std::function<Result<void>(Port&)>& after);

}  // namespace pollux::tool
