// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "pollux/device/record.hpp"

namespace pollux::drivers::igb {

/// The properties of an 82576 that record and replay need.
[[nodiscard]] const CardLayout& card_layout() noexcept;

}  // namespace pollux::drivers::igb
