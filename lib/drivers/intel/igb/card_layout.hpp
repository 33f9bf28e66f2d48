// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "pollux/device/record.hpp"

namespace pollux::drivers::igb {

/// What record and replay have to know of an 82576.
[[nodiscard]] const CardLayout& card_layout() noexcept;

}  // namespace pollux::drivers::igb
