// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "pollux/net/packet/byte_order.hpp"
#include "pollux/net/packet/ethernet.hpp"

namespace pollux::packet {

/// Assigned Internet Protocol Numbers, IANA.
namespace ip_protocol {
inline constexpr std::uint8_t kHopByHop = 0;             ///< the first of the IPv6 extension headers that a card skips
inline constexpr std::uint8_t kRouting = 43;             ///< an IPv6 extension header
inline constexpr std::uint8_t kFragment = 44;            ///< an IPv6 extension header
inline constexpr std::uint8_t kDestinationOptions = 60;  ///< an IPv6 extension header
inline constexpr std::uint8_t kIcmp = 1;                 ///< RFC 792
inline constexpr std::uint8_t kTcp = 6;                  ///< RFC 9293
inline constexpr std::uint8_t kUdp = 17;                 ///< RFC 768
inline constexpr std::uint8_t kIcmpv6 = 58;              ///< RFC 4443
inline constexpr std::uint8_t kSctp = 132;               ///< RFC 9260
}  // namespace ip_protocol

/// RFC 791, 3.1.
struct Ipv4Header {
  static constexpr std::size_t kLength = 20;     ///< without options
  static constexpr std::size_t kMaxLength = 60;  ///< with as many options as there may be

  std::uint8_t traffic_class = 0;     ///< DSCP and ECN
  std::uint16_t total_length = 0;     ///< bytes, this header included
  std::uint16_t identification = 0;   ///< the same for all fragments of a packet
  bool dont_fragment = false;         ///< the DF flag
  bool more_fragments = false;        ///< the MF flag: this is a fragment, and not the last one
  std::uint16_t fragment_offset = 0;  ///< in units of 8 bytes, 0 to 8,191
  std::uint8_t time_to_live = 64;     ///< hops; a router drops the packet that would leave it with 0
  std::uint8_t protocol = 0;          ///< of ip_protocol, of what follows this header
  std::uint16_t checksum = 0;         ///< as it is on the wire; `write` computes none, `Builder` does
  /// First byte on the wire first.
  ///@{
  Ipv4Address source{};
  Ipv4Address destination{};
  ///@}
  /// At most 40 bytes, a multiple of 4. After `read` it refers to the bytes that were read.
  std::span<const std::uint8_t> options{};

  /// Bytes with options.
  [[nodiscard]] std::size_t length() const noexcept { return kLength + options.size(); }
  /// As those of EthernetHeader; `read` accepts any checksum.
  ///@{
  [[nodiscard]] static std::optional<Ipv4Header> read(std::span<const std::uint8_t> bytes) noexcept {
    if (bytes.size() < kLength || bytes[0] >> 4 != 4) return std::nullopt;
    const std::size_t length = (bytes[0] & 0x0FU) * std::size_t{4};
    if (length < kLength || length > bytes.size()) return std::nullopt;
    const std::uint16_t fragment = load16(&bytes[6]);
    Ipv4Header header{.traffic_class = bytes[1],
                      .total_length = load16(&bytes[2]),
                      .identification = load16(&bytes[4]),
                      .dont_fragment = (fragment & kDontFragment) != 0,
                      .more_fragments = (fragment & kMoreFragments) != 0,
                      .fragment_offset = static_cast<std::uint16_t>(fragment & kMaxFragmentOffset),
                      .time_to_live = bytes[8],
                      .protocol = bytes[9],
                      .checksum = load16(&bytes[10]),
                      .options = bytes.subspan(kLength, length - kLength)};
    std::copy_n(bytes.begin() + 12, 4, header.source.begin());
    std::copy_n(bytes.begin() + 16, 4, header.destination.begin());
    return header;
  }
  std::size_t write(std::span<std::uint8_t> bytes) const noexcept {
    if (length() > kMaxLength || length() % 4 != 0 || bytes.size() < length()) return 0;
    if (fragment_offset > kMaxFragmentOffset) return 0;
    bytes[0] = static_cast<std::uint8_t>(0x40 | length() / 4);
    bytes[1] = traffic_class;
    store16(&bytes[2], total_length);
    store16(&bytes[4], identification);
    store16(&bytes[6], static_cast<std::uint16_t>((dont_fragment ? kDontFragment : 0) |
                                                  (more_fragments ? kMoreFragments : 0) | fragment_offset));
    bytes[8] = time_to_live;
    bytes[9] = protocol;
    store16(&bytes[10], checksum);
    std::copy_n(source.begin(), 4, bytes.begin() + 12);
    std::copy_n(destination.begin(), 4, bytes.begin() + 16);
    std::copy_n(options.begin(), options.size(), bytes.begin() + kLength);
    return length();
  }
  ///@}

 private:
  static constexpr std::uint16_t kDontFragment = 0x4000;
  static constexpr std::uint16_t kMoreFragments = 0x2000;
  static constexpr std::uint16_t kMaxFragmentOffset = 0x1FFF;
};

/// RFC 8200, 3. Without extension headers.
struct Ipv6Header {
  static constexpr std::size_t kLength = 40;  ///< bytes

  std::uint8_t traffic_class = 0;    ///< DSCP and ECN
  std::uint32_t flow_label = 0;      ///< 0 to 1,048,575
  std::uint16_t payload_length = 0;  ///< bytes after this header, extension headers included
  std::uint8_t next_header = 0;      ///< of ip_protocol: an extension header, or what the packet carries
  std::uint8_t hop_limit = 64;       ///< hops; a router drops the packet that would leave it with 0
  /// First byte on the wire first.
  ///@{
  Ipv6Address source{};
  Ipv6Address destination{};
  ///@}

  /// As those of EthernetHeader.
  ///@{
  [[nodiscard]] static std::optional<Ipv6Header> read(std::span<const std::uint8_t> bytes) noexcept {
    if (bytes.size() < kLength || bytes[0] >> 4 != 6) return std::nullopt;
    const std::uint32_t first = load32(bytes.data());
    Ipv6Header header{.traffic_class = static_cast<std::uint8_t>(first >> 20 & 0xFF),
                      .flow_label = first & kMaxFlowLabel,
                      .payload_length = load16(&bytes[4]),
                      .next_header = bytes[6],
                      .hop_limit = bytes[7]};
    std::copy_n(bytes.begin() + 8, 16, header.source.begin());
    std::copy_n(bytes.begin() + 24, 16, header.destination.begin());
    return header;
  }
  std::size_t write(std::span<std::uint8_t> bytes) const noexcept {
    if (bytes.size() < kLength || flow_label > kMaxFlowLabel) return 0;
    store32(bytes.data(), std::uint32_t{6} << 28 | std::uint32_t{traffic_class} << 20 | flow_label);
    store16(&bytes[4], payload_length);
    bytes[6] = next_header;
    bytes[7] = hop_limit;
    std::copy_n(source.begin(), 16, bytes.begin() + 8);
    std::copy_n(destination.begin(), 16, bytes.begin() + 24);
    return kLength;
  }
  ///@}
  [[nodiscard]] bool operator==(const Ipv6Header&) const noexcept = default;

 private:
  static constexpr std::uint32_t kMaxFlowLabel = 0xFFFFF;
};

}  // namespace pollux::packet
