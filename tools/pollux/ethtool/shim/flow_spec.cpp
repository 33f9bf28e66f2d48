// SPDX-License-Identifier: BSD-3-Clause
#include "flow_spec.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include "hex.hpp"

namespace pollux::ethtool {
namespace {

/// A field of a header, and of the structure that has its value; the mask lies in a structure of the same layout.
struct Field {
  std::size_t in_header = 0;
  std::size_t in_union = 0;
  std::size_t bytes = 0;
};

/// A header that a kind of rule compares.
struct Header {
  std::string_view protocol;
  std::size_t bytes = 0;
  std::span<const Field> fields;
};

constexpr std::array kEth{Field{0, offsetof(ethhdr, h_dest), 6}, Field{6, offsetof(ethhdr, h_source), 6},
                          Field{12, offsetof(ethhdr, h_proto), 2}};
constexpr std::array kIpv4{Field{1, offsetof(ethtool_tcpip4_spec, tos), 1},
                           Field{12, offsetof(ethtool_tcpip4_spec, ip4src), 4},
                           Field{16, offsetof(ethtool_tcpip4_spec, ip4dst), 4}};
constexpr std::array kPorts4{Field{0, offsetof(ethtool_tcpip4_spec, psrc), 2},
                             Field{2, offsetof(ethtool_tcpip4_spec, pdst), 2}};
constexpr std::array kUser4{
    Field{1, offsetof(ethtool_usrip4_spec, tos), 1}, Field{9, offsetof(ethtool_usrip4_spec, proto), 1},
    Field{12, offsetof(ethtool_usrip4_spec, ip4src), 4}, Field{16, offsetof(ethtool_usrip4_spec, ip4dst), 4}};
// The traffic class of IPv6 lies across two bytes and is not compared.
constexpr std::array kIpv6{Field{8, offsetof(ethtool_tcpip6_spec, ip6src), 16},
                           Field{24, offsetof(ethtool_tcpip6_spec, ip6dst), 16}};
constexpr std::array kPorts6{Field{0, offsetof(ethtool_tcpip6_spec, psrc), 2},
                             Field{2, offsetof(ethtool_tcpip6_spec, pdst), 2}};
constexpr std::array kUser6{Field{6, offsetof(ethtool_usrip6_spec, l4_proto), 1},
                            Field{8, offsetof(ethtool_usrip6_spec, ip6src), 16},
                            Field{24, offsetof(ethtool_usrip6_spec, ip6dst), 16}};

struct Kind {
  std::uint32_t flow = 0;
  std::array<Header, 2> headers;  ///< the second one may be empty
  /// Bytes of the union that no field has, and that must not be compared.
  Field unused = {};
};

constexpr Header kIpv4Header{"ipv4", 20, kIpv4};
constexpr Header kIpv6Header{"ipv6", 40, kIpv6};
constexpr Field kClass6{0, offsetof(ethtool_tcpip6_spec, tclass), 1};
constexpr std::array kKinds{
    Kind{TCP_V4_FLOW, {kIpv4Header, {"tcp", 20, kPorts4}}},
    Kind{UDP_V4_FLOW, {kIpv4Header, {"udp", 8, kPorts4}}},
    Kind{SCTP_V4_FLOW, {kIpv4Header, {"sctp", 12, kPorts4}}},
    Kind{IPV4_USER_FLOW, {Header{"ipv4", 20, kUser4}, {}}, {0, offsetof(ethtool_usrip4_spec, l4_4_bytes), 4}},
    Kind{TCP_V6_FLOW, {kIpv6Header, {"tcp", 20, kPorts6}}, kClass6},
    Kind{UDP_V6_FLOW, {kIpv6Header, {"udp", 8, kPorts6}}, kClass6},
    Kind{SCTP_V6_FLOW, {kIpv6Header, {"sctp", 12, kPorts6}}, kClass6},
    // The class follows the four bytes of the next header.
    Kind{IPV6_USER_FLOW, {Header{"ipv6", 40, kUser6}, {}}, {0, offsetof(ethtool_usrip6_spec, l4_4_bytes), 5}},
    Kind{ETHER_FLOW, {Header{"eth", 14, kEth}, {}}},
};
constexpr std::size_t kTagBytes = 4;
constexpr std::size_t kEthBytes = 14;
constexpr std::size_t kMacBytes = 6;
constexpr std::uint32_t kFlags = FLOW_EXT | FLOW_MAC_EXT | FLOW_RSS;

/// A header's value and mask. Bytes that are not compared are zero in both.
struct Item {
  std::vector<std::uint8_t> spec;
  std::vector<std::uint8_t> mask;

  explicit Item(std::size_t bytes) : spec(bytes), mask(bytes) {}
  void set(std::size_t at, const void* value, const void* bits, std::size_t bytes) {
    std::memcpy(mask.data() + at, bits, bytes);
    std::memcpy(spec.data() + at, value, bytes);
    for (std::size_t i = at; i < at + bytes; ++i) spec[i] &= mask[i];
  }
  [[nodiscard]] bool compares() const {
    return std::ranges::any_of(mask, [](std::uint8_t byte) { return byte != 0; });
  }
  [[nodiscard]] Json json(std::string_view protocol) const {
    if (!compares()) return {{"protocol", protocol}};
    return {{"protocol", protocol}, {"spec", hex_of(spec)}, {"mask", hex_of(mask)}};
  }
};

const std::uint8_t* bytes_at(const ethtool_flow_union& fields, std::size_t offset) { return fields.hdata + offset; }
std::uint8_t* bytes_at(ethtool_flow_union& fields, std::size_t offset) { return fields.hdata + offset; }

const Kind* kind_of(std::uint32_t flow) {
  const auto found = std::ranges::find(kKinds, flow & ~kFlags, &Kind::flow);
  return found == kKinds.end() ? nullptr : &*found;
}

bool compares_unused(const Kind& kind, const ethtool_rx_flow_spec& spec) {
  const std::uint8_t* const bytes = bytes_at(spec.m_u, kind.unused.in_union);
  return std::any_of(bytes, bytes + kind.unused.bytes, [](std::uint8_t byte) { return byte != 0; });
}

/// The tag and the destination address that rules of IP may have in addition.
void add_extension(const ethtool_rx_flow_spec& spec, Json& match) {
  if ((spec.flow_type & FLOW_MAC_EXT) != 0) {
    Item eth(kEthBytes);
    eth.set(0, spec.h_ext.h_dest, spec.m_ext.h_dest, kMacBytes);
    match.push_back(eth.json("eth"));
  }
  if ((spec.flow_type & FLOW_EXT) == 0 || spec.m_ext.vlan_tci == 0) return;
  Item tag(kTagBytes);
  tag.set(0, &spec.h_ext.vlan_tci, &spec.m_ext.vlan_tci, sizeof spec.h_ext.vlan_tci);
  match.push_back(tag.json("vlan"));
}

/// The headers of `match` by protocol. false: one of them is compared in a way that ethtool has not.
bool read_item(const Json& json, Item& item) {
  const auto value = bytes_of(text(json, "spec"));
  const auto bits = bytes_of(text(json, "mask"));
  if (!value || !bits || !text(json, "last").empty()) return false;
  if (value->empty()) return true;
  if (value->size() != item.spec.size() || bits->size() != item.spec.size()) return false;
  item.set(0, value->data(), bits->data(), value->size());
  return true;
}

bool put_fields(const Json& json, const Header& header, ethtool_rx_flow_spec& spec) {
  Item item(header.bytes);
  if (!read_item(json, item)) return false;
  for (const Field& field : header.fields) {
    std::memcpy(bytes_at(spec.h_u, field.in_union), item.spec.data() + field.in_header, field.bytes);
    std::memcpy(bytes_at(spec.m_u, field.in_union), item.mask.data() + field.in_header, field.bytes);
    std::fill_n(item.mask.begin() + static_cast<std::ptrdiff_t>(field.in_header), field.bytes, std::uint8_t{0});
  }
  return !item.compares();  // all that is compared has a field
}

bool put_tag(const Json& json, ethtool_rx_flow_spec& spec) {
  Item tag(kTagBytes);
  if (!read_item(json, tag) || tag.mask[2] != 0 || tag.mask[3] != 0) return false;
  std::memcpy(&spec.h_ext.vlan_tci, tag.spec.data(), sizeof spec.h_ext.vlan_tci);
  std::memcpy(&spec.m_ext.vlan_tci, tag.mask.data(), sizeof spec.m_ext.vlan_tci);
  spec.flow_type |= FLOW_EXT;
  return true;
}

/// The kind whose headers the items have.
const Kind* kind_of(const std::vector<const Json*>& items) {
  for (const Kind& kind : kKinds) {
    const std::size_t count = kind.headers[1].bytes == 0 ? 1 : 2;
    bool fits = items.size() == count;
    for (std::size_t i = 0; fits && i < count; ++i) fits = text(*items[i], "protocol") == kind.headers[i].protocol;
    if (fits) return &kind;
  }
  return nullptr;
}

}  // namespace

Json match_of(const ethtool_rx_flow_spec& spec) {
  const Kind* const kind = kind_of(spec.flow_type);
  const bool has_more = (spec.flow_type & FLOW_RSS) != 0 ||
                        ((spec.flow_type & FLOW_EXT) != 0 &&
                         (spec.m_ext.vlan_etype != 0 || spec.m_ext.data[0] != 0 || spec.m_ext.data[1] != 0));
  if (kind == nullptr || has_more || compares_unused(*kind, spec)) return nullptr;
  Json match = Json::array();
  const bool of_ethernet = kind->flow == ETHER_FLOW;
  if (!of_ethernet) add_extension(spec, match);
  for (const Header& header : kind->headers) {
    if (header.bytes == 0) continue;
    Item item(header.bytes);
    for (const Field& field : header.fields)
      item.set(field.in_header, bytes_at(spec.h_u, field.in_union), bytes_at(spec.m_u, field.in_union), field.bytes);
    match.push_back(item.json(header.protocol));
  }
  if (of_ethernet) add_extension(spec, match);
  return match;
}

bool put_match(const Json& match, ethtool_rx_flow_spec& spec) {
  std::vector<const Json*> items;
  spec.flow_type = 0;
  for (std::size_t i = 0; match.is_array() && i < match.size(); ++i) {
    if (text(match[i], "protocol") != "vlan") {
      items.push_back(&match[i]);
    } else if (!put_tag(match[i], spec)) {
      return false;
    }
  }
  const Kind* const kind = kind_of(items);
  if (kind == nullptr) return false;
  spec.flow_type |= kind->flow;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (!put_fields(*items[i], kind->headers[i], spec)) return false;
  }
  if (kind->flow == IPV4_USER_FLOW) spec.h_u.usr_ip4_spec.ip_ver = ETH_RX_NFC_IP4;
  return true;
}

}  // namespace pollux::ethtool
