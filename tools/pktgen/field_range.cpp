// SPDX-License-Identifier: BSD-3-Clause
#include "pktgen/field_range.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <span>
#include <utility>
#include <vector>

#include "common/mac_text.hpp"
#include "common/number_text.hpp"
#include "pollux/net/packet/byte_order.hpp"

namespace pollux::tools {
namespace {

using Header = FrameField::Header;
using Form = FrameField::Form;

// Offsets: IEEE 802.3 and 802.1Q, RFC 791 (3.1), RFC 8200 (3), RFC 9293 (3.1), RFC 768.
constexpr std::array kFields{
    FrameField{.name = "eth.dst", .header = Header::ethernet, .offset = 0, .bytes = 6, .form = Form::mac},
    FrameField{.name = "eth.src", .header = Header::ethernet, .offset = 6, .bytes = 6, .form = Form::mac},
    FrameField{.name = "vlan.id", .header = Header::vlan, .offset = 0, .most = 0x0FFF},
    FrameField{.name = "ip.id", .header = Header::ipv4, .offset = 4, .in_ip_checksum = true},
    FrameField{.name = "ip.src",
               .header = Header::ipv4,
               .offset = 12,
               .bytes = 4,
               .form = Form::ipv4,
               .in_ip_checksum = true,
               .in_l4_checksum = true},
    FrameField{.name = "ip.dst",
               .header = Header::ipv4,
               .offset = 16,
               .bytes = 4,
               .form = Form::ipv4,
               .in_ip_checksum = true,
               .in_l4_checksum = true},
    FrameField{.name = "ipv6.src",
               .header = Header::ipv6,
               .offset = 8,
               .bytes = 16,
               .form = Form::ipv6,
               .in_l4_checksum = true},
    FrameField{.name = "ipv6.dst",
               .header = Header::ipv6,
               .offset = 24,
               .bytes = 16,
               .form = Form::ipv6,
               .in_l4_checksum = true},
    FrameField{.name = "tcp.srcport", .header = Header::tcp, .offset = 0, .in_l4_checksum = true},
    FrameField{.name = "tcp.dstport", .header = Header::tcp, .offset = 2, .in_l4_checksum = true},
    FrameField{.name = "udp.srcport", .header = Header::udp, .offset = 0, .in_l4_checksum = true},
    FrameField{.name = "udp.dstport", .header = Header::udp, .offset = 2, .in_l4_checksum = true},
};

constexpr std::uint16_t kTagAt = 14;  // after the addresses and the tag's type

/// A value of any form. `prefix` is not zero in IPv6 addresses only.
struct Value {
  std::uint64_t prefix = 0;
  std::uint64_t low = 0;
};

std::uint64_t big_endian(std::span<const std::uint8_t> bytes) {
  std::uint64_t value = 0;
  for (const std::uint8_t byte : bytes) value = value << 8U | byte;
  return value;
}

std::optional<Value> parse_value(const FrameField& field, const std::string& text) {
  if (field.form == Form::number) {
    const auto number = parse_number<std::uint64_t>(text, 0, field.most);
    return number ? std::optional(Value{0, *number}) : std::nullopt;
  }
  if (field.form == Form::mac) {
    const auto mac = parse_mac(text);
    return mac ? std::optional(Value{0, big_endian(*mac)}) : std::nullopt;
  }
  std::array<std::uint8_t, 16> address{};
  if (inet_pton(field.form == Form::ipv4 ? AF_INET : AF_INET6, text.c_str(), address.data()) != 1) return {};
  const std::span<const std::uint8_t> bytes(address);
  if (field.form == Form::ipv4) return Value{0, big_endian(bytes.first(4))};
  return Value{big_endian(bytes.first(8)), big_endian(bytes.last(8))};
}

std::optional<FieldRange> parse_values(const FrameField& field, const std::string& text) {
  const std::size_t dash = text.find('-');
  const std::size_t slash = text.find('/');
  if (dash == std::string::npos || slash < dash) return {};
  const auto first = parse_value(field, text.substr(0, dash));
  const auto last = parse_value(field, text.substr(dash + 1, slash == std::string::npos ? slash : slash - dash - 1));
  const auto step = slash == std::string::npos ? std::uint64_t{1}
                                               : parse_number<std::uint64_t>(text.substr(slash + 1), 1, UINT32_MAX);
  if (!first || !last || !step) return {};
  if (first->prefix != last->prefix || last->low < first->low) return {};
  const std::uint64_t steps = (last->low - first->low) / *step;
  if (steps == UINT64_MAX) return {};
  return FieldRange{&field, first->prefix, first->low, steps + 1, *step};
}

}  // namespace

std::optional<std::uint16_t> FrameField::position(const packet::Layout& layout) const noexcept {
  const auto at = [&](bool exists, std::uint16_t start) {
    return exists ? std::optional(static_cast<std::uint16_t>(start + offset)) : std::nullopt;
  };
  switch (header) {
    case Header::ethernet: return at(true, 0);
    case Header::vlan: return at(layout.vlan_count != 0, kTagAt);
    case Header::ipv4: return at(layout.type.has(PacketType::ipv4), layout.l3);
    case Header::ipv6: return at(layout.type.has(PacketType::ipv6), layout.l3);
    case Header::tcp: return at(layout.type.has(PacketType::tcp), layout.l4);
    case Header::udp: return at(layout.type.has(PacketType::udp), layout.l4);
  }
  return std::nullopt;
}

Result<FieldRange> parse_field_range(const std::string& text) {
  const std::size_t equals = text.find('=');
  const auto* const field = std::ranges::find(kFields, std::string_view(text).substr(0, equals), &FrameField::name);
  if (field == kFields.end() || equals == std::string::npos) {
    return fail(ErrorCode::invalid_argument, fmt::format("'{}' names no field that pktgen can vary", text),
                fmt::format("use FIELD=FIRST-LAST or FIELD=FIRST-LAST/STEP with one of {}", field_names()));
  }
  if (const auto range = parse_values(*field, text.substr(equals + 1))) return *range;
  return fail(ErrorCode::invalid_argument, fmt::format("'{}' is not a range of {}", text, field->name),
              "use FIRST-LAST or FIRST-LAST/STEP with values of the field, such as udp.srcport=1024-2047, "
              "ip.src=10.0.0.1-10.0.0.254/2 or eth.src=02:00:00:00:00:01-02:00:00:00:00:ff; IPv6 addresses of one "
              "range share their upper 64 bits");
}

std::string field_names() {
  std::vector<std::string_view> names;
  for (const FrameField& field : kFields) names.push_back(field.name);
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace pollux::tools
