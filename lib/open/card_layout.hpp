// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>

#include "pollux/device/record.hpp"

namespace pollux {

/// What record and replay have to know of a card; nullptr for one that no driver knows.
[[nodiscard]] const CardLayout* find_card_layout(const PciIdentity& card);

}  // namespace pollux
