// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "net/wire_frame.hpp"
#include "pollux/net/flow/flow_rule.hpp"

/// What match items compare, and what rules have in common.
namespace pollux {

struct MatchField {
  std::string_view name;
  std::size_t at;     ///< offset in the header, bytes
  std::size_t bytes;  ///< length
};

struct MatchHeader {
  std::string_view name;
  std::size_t bytes;  ///< length without options; 0 for raw
  std::span<const MatchField> fields;
  std::span<const std::uint8_t> default_mask;  ///< as long as the header
};

/// The header of a protocol. For an invalid protocol it has no fields and no bytes.
[[nodiscard]] const MatchHeader& match_header(MatchProtocol protocol) noexcept;

/// The mask of an item of a header: its own, or the header's default. Not for raw.
[[nodiscard]] std::span<const std::uint8_t> effective_mask(const MatchItem& item) noexcept;

/// Longest pattern of a raw item, bytes.
inline constexpr std::size_t kMaxRawBytes = 128;

/// `matches` for a frame that was parsed before: `layout` is the result of `frame.parse()`.
[[nodiscard]] bool matches_parsed(const FlowRule& rule, const WireFrame& frame, const packet::Layout& layout) noexcept;

/// Checks that an action names only queues below `queues`. `owner` names the port in the error invalid_argument.
[[nodiscard]] Result<void> check_queues(const FlowAction& action, std::uint32_t queues, std::string_view owner);

}  // namespace pollux
