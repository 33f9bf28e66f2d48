// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <nlohmann/json.hpp>

namespace pollux::observe {

/// Members keep their order, so that answers read well.
using Json = nlohmann::ordered_json;

}  // namespace pollux::observe
