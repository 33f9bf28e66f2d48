// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <span>
#include <string>
#include <vector>

#include "mem/context_state.hpp"
#include "net/json/field_list.hpp"
#include "net/json/json.hpp"
#include "pollux/base/error.hpp"
#include "pollux/net/port_config.hpp"
#include "pollux/net/settings.hpp"

/// Settings as JSON, in the form of `port.settings`: docs/telemetry.md.
namespace pollux::json {

/// A queue whose pool the port has made has the pool null.
[[nodiscard]] Json settings_json(Settings settings);

/// Changes what a merge patch (RFC 7396) names; null is the default. Pools are those that `settings` has, and then the
/// others of the program. What a patch of RSS leaves out is as it was in force at a port with `limits`. Error
/// invalid_argument: the member that is wrong, and what it should be; nothing has changed.
[[nodiscard]] Result<void> patch_settings(Settings& settings, const Json& patch, const PortLimits& limits,
                                          const ContextState& context);

/// A merge patch of changes such as mtu=9000, vlan_stripping=on or rx.0.ring=1024: `on` and `off` are true and false,
/// `none` is null, all else is JSON or else a string. Error invalid_argument: the change that is wrong.
[[nodiscard]] Result<Json> patch_of(std::span<const std::string> changes);

/// Every setting of a port.
[[nodiscard]] std::vector<ListedField> list_settings();

}  // namespace pollux::json
