// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "pollux/base/api.hpp"
#include "pollux/base/error.hpp"
#include "pollux/mem/mempool.hpp"
#include "pollux/net/settings.hpp"

/// @file
/// The settings of a port as JSON, for a program that takes over from another one: docs/telemetry.md, "Settings".

namespace pollux {

/// What the telemetry answers to `port.settings`. Pools are written by name; a pool that the port has made for itself
/// is null. Caches of pools are not written.
[[nodiscard]] POLLUX_API std::string settings_text(const Settings& settings);

/// Reads what `settings_text` or the telemetry wrote, for Port::change. A member that is left out has its default.
/// `pools` has the pools that the text names. Error invalid_argument: the member that is wrong, and what it should be.
[[nodiscard]] POLLUX_API Result<Settings> parse_settings(std::string_view text, std::span<const Mempool> pools = {});

}  // namespace pollux
