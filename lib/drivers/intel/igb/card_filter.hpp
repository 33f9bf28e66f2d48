// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "hw/intel/igb/ids.hpp"
#include "pollux/net/flow/flow_rule.hpp"

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

}  // namespace pollux::drivers::igb
