// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

#include "device/record_format.hpp"

namespace pollux {

/// What the driver did, for messages: "a write of 0x1 to RCTL (0x100)".
[[nodiscard]] std::string describe(const RecordEvent& event, const CardLayout& layout);

}  // namespace pollux
