// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "pollux/device/record.hpp"

namespace pollux::drivers::igb {

/// The layout of an 82576, for record and replay.
[[nodiscard]] const CardLayout& card_layout() noexcept;

}  // namespace pollux::drivers::igb
