// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "open/built_in.hpp"

namespace pollux {

/// The layout that record and replay need for a card of a built-in driver; nullptr for any other card.
inline const CardLayout* find_card_layout(const PciIdentity& card) {
  for (const CardDriver& driver : built_in_drivers()) {
    for (const KnownCard& known : driver.cards) {
      if (known.vendor == card.vendor && known.device == card.device) return driver.layout;
    }
  }
  return nullptr;
}

}  // namespace pollux
