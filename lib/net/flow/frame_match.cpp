// SPDX-License-Identifier: BSD-3-Clause

#include <algorithm>
#include <array>

#include "net/flow/match_fields.hpp"
#include "pollux/net/packet/ethernet.hpp"

namespace pollux {
namespace {

// Names and default masks are those of DPDK, lib/ethdev/rte_flow.h (rte_flow_item_eth and the others).
constexpr std::array<MatchField, 3> kEth{{{"destination", 0, 6}, {"source", 6, 6}, {"type", 12, 2}}};
constexpr std::array<MatchField, 2> kVlan{{{"tci", 0, 2}, {"inner_type", 2, 2}}};
constexpr std::array<MatchField, 10> kIpv4{{{"version_ihl", 0, 1},
                                            {"type_of_service", 1, 1},
                                            {"total_length", 2, 2},
                                            {"packet_id", 4, 2},
                                            {"fragment_offset", 6, 2},
                                            {"time_to_live", 8, 1},
                                            {"protocol", 9, 1},
                                            {"checksum", 10, 2},
                                            {"source", 12, 4},
                                            {"destination", 16, 4}}};
constexpr std::array<MatchField, 6> kIpv6{{{"vtc_flow", 0, 4},
                                           {"payload_length", 4, 2},
                                           {"protocol", 6, 1},
                                           {"hop_limit", 7, 1},
                                           {"source", 8, 16},
                                           {"destination", 24, 16}}};
constexpr std::array<MatchField, 9> kTcp{{{"source_port", 0, 2},
                                          {"destination_port", 2, 2},
                                          {"sequence", 4, 4},
                                          {"acknowledgment", 8, 4},
                                          {"data_offset", 12, 1},
                                          {"flags", 13, 1},
                                          {"window", 14, 2},
                                          {"checksum", 16, 2},
                                          {"urgent", 18, 2}}};
constexpr std::array<MatchField, 4> kUdp{
    {{"source_port", 0, 2}, {"destination_port", 2, 2}, {"length", 4, 2}, {"checksum", 6, 2}}};
constexpr std::array<MatchField, 4> kSctp{
    {{"source_port", 0, 2}, {"destination_port", 2, 2}, {"tag", 4, 4}, {"checksum", 8, 4}}};

/// A mask of a header of N bytes with all bits of the first to last-but-one byte set.
template <std::size_t N>
constexpr std::array<std::uint8_t, N> ones(std::size_t from, std::size_t to) {
  std::array<std::uint8_t, N> mask{};
  for (std::size_t i = from; i < to; ++i) mask[i] = 0xFF;
  return mask;
}
constexpr auto kEthMask = ones<14>(0, 12);
constexpr std::array<std::uint8_t, 4> kVlanMask{0x0F, 0xFF, 0, 0};
constexpr auto kIpv4Mask = ones<20>(12, 20);
constexpr auto kIpv6Mask = ones<40>(8, 40);
constexpr auto kTcpMask = ones<20>(0, 4);
constexpr auto kUdpMask = ones<8>(0, 4);
constexpr auto kSctpMask = ones<12>(0, 4);

constexpr std::array<MatchHeader, 8> kHeaders{{{"eth", 14, kEth, kEthMask},
                                               {"vlan", 4, kVlan, kVlanMask},
                                               {"ipv4", 20, kIpv4, kIpv4Mask},
                                               {"ipv6", 40, kIpv6, kIpv6Mask},
                                               {"tcp", 20, kTcp, kTcpMask},
                                               {"udp", 8, kUdp, kUdpMask},
                                               {"sctp", 12, kSctp, kSctpMask},
                                               {"raw", 0, {}, {}}}};
constexpr MatchHeader kInvalid{"an unknown protocol", 0, {}, {}};

constexpr std::size_t kAddresses = 12;  // bytes of an Ethernet header before its type
constexpr std::size_t kLongestHeader = 40;
constexpr std::size_t kWindow = 2 * kMaxRawBytes;

/// Compares the field's bytes under the mask. Numbers have their most significant byte first, so bytes compare as
/// numbers do.
int compare(std::span<const std::uint8_t> left, std::span<const std::uint8_t> right,
            std::span<const std::uint8_t> mask) noexcept {
  for (std::size_t i = 0; i < mask.size(); ++i) {
    const int difference = (left[i] & mask[i]) - (right[i] & mask[i]);
    if (difference != 0) return difference;
  }
  return 0;
}

bool has_range(const MatchItem& item, const MatchField& field) noexcept {
  return !item.last.empty() && std::any_of(item.last.begin() + static_cast<std::ptrdiff_t>(field.at),
                                           item.last.begin() + static_cast<std::ptrdiff_t>(field.at + field.bytes),
                                           [](std::uint8_t byte) { return byte != 0; });
}

bool fields_match(const MatchItem& item, const MatchHeader& header, std::span<const std::uint8_t> bytes) noexcept {
  const auto mask = effective_mask(item);
  for (const MatchField& field : header.fields) {
    const auto part = [&](std::span<const std::uint8_t> all) { return all.subspan(field.at, field.bytes); };
    const int from_spec = compare(part(bytes), part(item.spec), part(mask));
    if (!has_range(item, field)) {
      if (from_spec != 0) return false;
    } else if (from_spec < 0 || compare(part(bytes), part(item.last), part(mask)) > 0) {
      return false;
    }
  }
  return true;
}

bool names_tags(const FlowRule& rule) noexcept {
  return std::any_of(rule.match.begin(), rule.match.end(),
                     [](const MatchItem& item) { return item.protocol == MatchProtocol::vlan; });
}

/// Compares the items of one rule with one frame, from the lowest header up.
class ItemMatcher {
 public:
  ItemMatcher(const FlowRule& rule, const WireFrame& frame, const packet::Layout& layout) noexcept
      : rule_(rule), frame_(frame), layout_(layout) {
    if (layout.l3 != 0 && !names_tags(rule)) see_as_a_card();
  }

  [[nodiscard]] bool run() noexcept {
    for (std::size_t i = 0; i < rule_.match.size(); ++i) {
      const bool tag_follows = i + 1 < rule_.match.size() && rule_.match[i + 1].protocol == MatchProtocol::vlan;
      if (!matches_item(rule_.match[i], tag_follows)) return false;
    }
    return true;
  }

 private:
  /// A card skips one tag of IEEE 802.1Q. It does not know what is behind other tags.
  void see_as_a_card() noexcept {
    const bool skips = read16(kAddresses) == packet::ether_type::kVlan && layout_.vlan_count != 0;
    if (layout_.vlan_count == (skips ? 1 : 0)) return;
    layout_.l3 =
        static_cast<std::uint16_t>(packet::EthernetHeader::kLength + (skips ? packet::VlanHeader::kLength : 0));
    layout_.ether_type = read16(layout_.l3 - 2U);
    layout_.type = {};
  }
  [[nodiscard]] std::uint16_t read16(std::size_t at) const noexcept {
    std::array<std::uint8_t, 2> bytes{};
    static_cast<void>(frame_.copy_out(at, bytes));
    return packet::load16(bytes.data());
  }

  /// A header of the frame: where it starts, and where the next one starts.
  struct Position {
    std::size_t at;
    std::size_t next;
  };

  bool matches_item(const MatchItem& item, bool tag_follows) noexcept {
    if (item.protocol == MatchProtocol::raw) return matches_raw(item);
    const auto position = find(item.protocol, tag_follows);
    if (!position) return false;
    end_ = position->next;
    const MatchHeader& header = match_header(item.protocol);
    if (item.spec.empty()) return item.mask.empty() && item.last.empty();
    if (header.bytes == 0 || item.spec.size() != header.bytes) return false;
    if (!item.mask.empty() && item.mask.size() != header.bytes) return false;
    if (!item.last.empty() && item.last.size() != header.bytes) return false;
    std::array<std::uint8_t, kLongestHeader> memory{};
    const auto bytes = std::span(memory).first(header.bytes);
    if (item.protocol == MatchProtocol::eth && !tag_follows) {
      // The type is the one after the tags.
      if (frame_.copy_out(0, bytes.first(kAddresses)) != kAddresses) return false;
      memory[kAddresses] = static_cast<std::uint8_t>(layout_.ether_type >> 8);
      memory[kAddresses + 1] = static_cast<std::uint8_t>(layout_.ether_type);
    } else if (frame_.copy_out(position->at, bytes) != bytes.size()) {
      return false;
    }
    return fields_match(item, header, bytes);
  }

  [[nodiscard]] std::optional<Position> find(MatchProtocol protocol, bool tag_follows) noexcept {
    switch (protocol) {
      case MatchProtocol::eth:
        if (layout_.l3 == 0) return std::nullopt;
        return Position{0, tag_follows ? packet::EthernetHeader::kLength : layout_.l3};
      case MatchProtocol::vlan: return find_tag(tag_follows);
      case MatchProtocol::ipv4: return find_ip(PacketType::ipv4);
      case MatchProtocol::ipv6: return find_ip(PacketType::ipv6);
      case MatchProtocol::tcp: return find_transport(PacketType::tcp, 20);
      case MatchProtocol::udp: return find_transport(PacketType::udp, 8);
      case MatchProtocol::sctp: return find_transport(PacketType::sctp, 12);
      case MatchProtocol::raw: break;
    }
    return std::nullopt;
  }
  [[nodiscard]] std::optional<Position> find_tag(bool tag_follows) noexcept {
    if (tags_ >= layout_.vlan_count) return std::nullopt;
    const std::size_t at = packet::EthernetHeader::kLength + packet::VlanHeader::kLength * tags_++;
    return Position{at, tag_follows ? at + packet::VlanHeader::kLength : layout_.l3};
  }
  [[nodiscard]] std::optional<Position> find_ip(PacketType::Bit version) const noexcept {
    if (!layout_.type.has(version)) return std::nullopt;
    return Position{layout_.l3, layout_.l4 != 0 ? layout_.l4 : layout_.payload};
  }
  [[nodiscard]] std::optional<Position> find_transport(PacketType::Bit type, std::size_t header) const noexcept {
    if (!layout_.type.has(type)) return std::nullopt;
    return Position{layout_.l4, std::max<std::size_t>(layout_.payload, layout_.l4 + header)};
  }

  bool matches_raw(const MatchItem& item) noexcept {
    const std::size_t size = item.spec.size();
    if (size == 0 || size > kMaxRawBytes || !item.last.empty()) return false;
    if (!item.mask.empty() && item.mask.size() != size) return false;
    const std::int64_t start = (item.relative ? static_cast<std::int64_t>(end_) : 0) + item.offset;
    const std::size_t length = frame_.length();
    if (start < 0 || static_cast<std::uint64_t>(start) + size > length) return false;
    const std::size_t first = static_cast<std::size_t>(start);
    std::size_t positions = item.search ? length - size - first + 1 : 1;
    if (item.search && item.limit != 0) positions = std::min<std::size_t>(positions, item.limit);
    const auto found = find_bytes(item, first, positions);
    if (found) end_ = *found + size;
    return found.has_value();
  }

  /// The first of `positions` positions from `first` on where the item's bytes are.
  [[nodiscard]] std::optional<std::size_t> find_bytes(const MatchItem& item, std::size_t first,
                                                      std::size_t positions) const noexcept {
    const std::size_t size = item.spec.size();
    std::array<std::uint8_t, kWindow> window{};
    std::array<std::uint8_t, kMaxRawBytes> all{};
    all.fill(0xFF);
    const std::span<const std::uint8_t> mask = item.mask.empty() ? std::span(all).first(size) : std::span(item.mask);
    for (std::size_t done = 0; done < positions;) {
      const std::size_t now = std::min(positions - done, kWindow - size + 1);
      const auto bytes = std::span(window).first(now + size - 1);
      if (frame_.copy_out(first + done, bytes) != bytes.size()) return std::nullopt;
      for (std::size_t i = 0; i < now; ++i) {
        if (compare(bytes.subspan(i, size), item.spec, mask) == 0) return first + done + i;
      }
      done += now;
    }
    return std::nullopt;
  }

  const FlowRule& rule_;
  const WireFrame& frame_;
  packet::Layout layout_;
  std::size_t end_ = 0;   // of the item before
  std::size_t tags_ = 0;  // tags that items have compared
};

}  // namespace

const MatchHeader& match_header(MatchProtocol protocol) noexcept {
  const auto index = static_cast<std::size_t>(protocol);
  return index < kHeaders.size() ? kHeaders[index] : kInvalid;
}

std::span<const std::uint8_t> effective_mask(const MatchItem& item) noexcept {
  return item.mask.empty() ? match_header(item.protocol).default_mask : std::span<const std::uint8_t>(item.mask);
}

bool matches_parsed(const FlowRule& rule, const WireFrame& frame, const packet::Layout& layout) noexcept {
  return ItemMatcher(rule, frame, layout).run();
}

bool matches(const FlowRule& rule, const Mbuf& frame) noexcept {
  const WireFrame wire(frame, stripped_tags(frame));
  return matches_parsed(rule, wire, wire.parse());
}

}  // namespace pollux
