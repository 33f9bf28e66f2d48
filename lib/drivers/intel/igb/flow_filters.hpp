// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "drivers/intel/igb/card.hpp"
#include "pollux/net/settings.hpp"

/// The card's filters for flow rules and time stamps: EtherType filters (ETQF), five-tuple filters (FTQF and others), a
/// SYN filter (SYNQF).
namespace pollux::drivers::igb {

/// Gives each rule of `settings` that has no filter a free one. Stamps have the last filter of a kind. Errors:
/// not_supported (the card cannot execute the rule, or has no filter for the stamps), busy (no free filter, or rules or
/// stamps contradict each other).
[[nodiscard]] Result<void> place_rules(const Card& card, Settings& settings);

/// Writes the filters of rules and stamps that differ from those of `from`; nullptr: the card was reset.
void write_filters(const Card& card, const Settings* from, const Settings& to);

}  // namespace pollux::drivers::igb
