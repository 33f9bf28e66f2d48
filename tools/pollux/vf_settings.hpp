// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "pollux/base/error.hpp"
#include "pollux/net/virtual_functions.hpp"

namespace pollux::tool {

/// The settings of one virtual function, as given to a command.
struct FunctionSettings {
  unsigned number = 0;
  VirtualFunctionConfig config;
};

/// Parses "0:mac=02:00:00:00:00:01,vlan=7,trust=on". What is not named keeps its default. Error invalid_argument, which
/// names the part that is wrong and its values.
[[nodiscard]] Result<FunctionSettings> parse_function_settings(const std::string& text);

/// As parse_function_settings, for each text. A function may be named once.
[[nodiscard]] Result<std::vector<FunctionSettings>> parse_all_settings(const std::vector<std::string>& texts);

/// "02:00:00:00:00:01, VLAN 7, spoof check on, trust off, link auto"
[[nodiscard]] std::string settings_text(const VirtualFunctionConfig& config);
[[nodiscard]] nlohmann::json settings_json(const VirtualFunctionConfig& config);

}  // namespace pollux::tool
