// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "silicon_probe/ask.hpp"

namespace pollux::silicon {

[[nodiscard]] nlohmann::json to_json(const Outcome& outcome);
/// The tags that no probe asks about, as a list.
[[nodiscard]] nlohmann::json unasked_json();
/// Several lines for a person.
[[nodiscard]] std::string to_text(const Outcome& outcome);
/// Every probe with its tags, then the tags without one.
[[nodiscard]] std::string list_text();

}  // namespace pollux::silicon
