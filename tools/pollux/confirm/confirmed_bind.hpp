// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <vector>

#include "confirm/rollback.hpp"
#include "host/binding.hpp"

namespace pollux::tool {

/// Binds ports, and does what else belongs to that. Returns the exit code.
using BindPorts = std::function<int()>;

/// Runs `bind`, which binds `addresses`, under a guard that takes the binding back after `limit` unless it is
/// confirmed: by Enter on the environment's terminal, or by `confirm_binding` in any process. Without a terminal it
/// returns as soon as the ports are bound. Returns the exit code: kFailure if the binding was taken back.
[[nodiscard]] int bind_with_confirmation(const Environment& environment, const std::vector<pci::Address>& addresses,
                                         const host::BindOptions& options, Duration limit, const HostActions& actions,
                                         const BindPorts& bind);

/// Runs `bind`, which binds `addresses`, under a guard that takes the binding back when `input` ends, or when this
/// process does, by whatever signal. Returns after that. Returns the exit code: kFailure if not everything is as
/// before.
[[nodiscard]] int bind_and_hold(const Environment& environment, const std::vector<pci::Address>& addresses,
                                const host::BindOptions& options, int input, const HostActions& actions,
                                const BindPorts& bind);

/// `pollux bind --confirmed`.
[[nodiscard]] int confirm_binding(const Environment& environment);

}  // namespace pollux::tool
