// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "drivers/intel/igb/card.hpp"
#include "hw/intel/igb/ids.hpp"
#include "pollux/net/flow/flow_rule.hpp"
#include "pollux/net/placed_settings.hpp"

/// The card's filters for flow rules and time stamps: EtherType filters (ETQF), five-tuple filters (FTQF and others), a
/// SYN filter (SYNQF).
namespace pollux::drivers::igb {

/// A flow rule as a filter of the card. Numbers are in host byte order.
struct CardFilter {
  enum class Kind : std::uint8_t { ether_type, five_tuple, syn };
  Kind kind = Kind::ether_type;
  std::uint16_t queue = 0;
  std::uint16_t ether_type = 0;  ///< of an EtherType filter
  // Of a five-tuple filter; a field without a value is not compared.
  std::uint8_t protocol = 0;
  std::optional<std::uint32_t> source = {};
  std::optional<std::uint32_t> destination = {};
  std::optional<std::uint16_t> source_port = {};
  std::optional<std::uint16_t> destination_port = {};
};

[[nodiscard]] const char* name_of(CardFilter::Kind kind) noexcept;
/// How many filters of a kind a card has.
[[nodiscard]] std::uint32_t filters_of(const hw::igb::FilterTraits& card, CardFilter::Kind kind) noexcept;

/// The filter that matches exactly the frames of `rule`, which `check_rule` accepts. Error not_supported: which item,
/// field or action the card cannot execute.
[[nodiscard]] Result<CardFilter> fit_filter(const FlowRule& rule, const hw::igb::FilterTraits& card,
                                            std::string_view port);

/// Gives each rule of `settings` that has no filter a free one. Stamps have the last filter of a kind. Errors:
/// not_supported (the card cannot execute the rule, or has no filter for the stamps), busy (no free filter, or rules or
/// stamps contradict each other).
[[nodiscard]] Result<void> place_rules(const IgbCard& card, PlacedSettings& settings);

/// Writes the filters of rules and stamps that differ from those of `from`; nullptr: the card was reset.
void write_filters(const IgbCard& card, const PlacedSettings* from, const PlacedSettings& to);

}  // namespace pollux::drivers::igb
