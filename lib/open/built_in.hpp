// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <deque>

#include "pollux/net/card_driver.hpp"

/// The one list of drivers, and the one of cards as software, that the library comes with. Listed by name, so that a
/// static library never drops one.
namespace pollux {

[[nodiscard]] std::deque<CardDriver> built_in_drivers();
/// The last is what `sim:` URIs have unless they name another.
[[nodiscard]] std::deque<CardModel> built_in_models();

/// What record and replay have to know of a card that a driver among these knows; nullptr for any other.
[[nodiscard]] const CardLayout* find_card_layout(const PciIdentity& card);

}  // namespace pollux
