// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "pollux/base/error.hpp"
#include "pollux/net/packet/parse.hpp"

namespace pollux::tools {

/// A header field of a frame. The names are those of Wireshark's display filters.
struct FrameField {
  enum class Header { ethernet, vlan, ipv4, ipv6, tcp, udp };
  enum class Form { number, mac, ipv4, ipv6 };

  std::string_view name;
  Header header = Header::ethernet;
  std::uint16_t offset = 0;  ///< in the header, even
  std::uint16_t bytes = 2;   ///< even, at most 16
  Form form = Form::number;
  std::uint16_t most = 0xFFFF;  ///< of a number: its bits in the field
  bool in_ip_checksum = false;  ///< that of the IPv4 header
  bool in_l4_checksum = false;  ///< that of layer 4, which may include a pseudo header

  /// Whether it is an address of the IP header.
  [[nodiscard]] bool is_address() const noexcept { return form == Form::ipv4 || form == Form::ipv6; }
  /// Where the field is in a frame that was parsed; nothing if the frame has none.
  [[nodiscard]] std::optional<std::uint16_t> position(const packet::Layout& layout) const noexcept;
};

/// Values that a field has in turn: from the first to the last, in steps.
struct FieldRange {
  const FrameField* field = nullptr;
  std::uint64_t prefix = 0;  ///< of an IPv6 address: the upper 64 bits
  std::uint64_t first = 0;   ///< of longer values the lower 64 bits
  std::uint64_t count = 1;   ///< at least 1
  std::uint64_t step = 1;

  /// The value of use n; begins again after the last.
  [[nodiscard]] std::uint64_t value(std::uint64_t n) const noexcept { return first + n % count * step; }
};

/// "FIELD=FIRST-LAST" or "FIELD=FIRST-LAST/STEP", such as "ip.src=10.0.0.1-10.0.255.254" or "udp.srcport=1024-2047/2".
/// Errors: invalid_argument for an unknown field, which lists the known ones, for values that are not of the field's
/// form, a last one below the first, a step of 0, and IPv6 addresses that differ in the upper 64 bits.
[[nodiscard]] Result<FieldRange> parse_field_range(const std::string& text);

/// The names of all fields, separated by commas.
[[nodiscard]] std::string field_names();

}  // namespace pollux::tools
