// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "open/registry.hpp"

namespace pollux {

/// The layout that record and replay need for a card of a built-in driver; nullptr for any other card.
inline const CardLayout* find_card_layout(const PciIdentity& card) {
  static const Registry registry;
  return registry.find_layout(card);
}

}  // namespace pollux
