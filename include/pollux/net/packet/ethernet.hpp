// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "pollux/net/link.hpp"
#include "pollux/net/packet/byte_order.hpp"

/// Headers as structs with numbers in host byte order, and what reads, builds and checks them in software.
namespace pollux::packet {

using Ipv4Address = std::array<std::uint8_t, 4>;   ///< first byte on the wire first
using Ipv6Address = std::array<std::uint8_t, 16>;  ///< first byte on the wire first

/// EtherTypes: IEEE 802 Numbers, IANA.
namespace ether_type {
inline constexpr std::uint16_t kIpv4 = 0x0800;     ///< RFC 791
inline constexpr std::uint16_t kArp = 0x0806;      ///< RFC 826
inline constexpr std::uint16_t kVlan = 0x8100;     ///< an IEEE 802.1Q customer tag
inline constexpr std::uint16_t kIpv6 = 0x86DD;     ///< RFC 8200
inline constexpr std::uint16_t kService = 0x88A8;  ///< an IEEE 802.1Q service tag, the outer one of QinQ
inline constexpr std::uint16_t kOldQinq = 0x9100;  ///< an outer tag before IEEE 802.1ad
}  // namespace ether_type

/// Whether a tag with an id and a priority follows this EtherType.
[[nodiscard]] constexpr bool is_vlan(std::uint16_t type) noexcept {
  return type == ether_type::kVlan || type == ether_type::kService || type == ether_type::kOldQinq;
}

/// The header of IEEE 802.3, without preamble and FCS.
struct EthernetHeader {
  static constexpr std::size_t kLength = 14;  ///< bytes

  /// First byte on the wire first.
  ///@{
  MacAddress destination{};
  MacAddress source{};
  ///@}
  std::uint16_t ether_type = 0;  ///< a value below 0x0600 is a length

  /// The header at the start of `bytes`; empty if there are too few bytes or another header.
  [[nodiscard]] static std::optional<EthernetHeader> read(std::span<const std::uint8_t> bytes) noexcept {
    if (bytes.size() < kLength) return std::nullopt;
    EthernetHeader header;
    std::copy_n(bytes.begin(), 6, header.destination.begin());
    std::copy_n(bytes.begin() + 6, 6, header.source.begin());
    header.ether_type = load16(&bytes[12]);
    return header;
  }
  /// Writes the header at the start of `bytes` and returns its length; 0, with nothing written, if it does not fit or a
  /// field is out of range.
  std::size_t write(std::span<std::uint8_t> bytes) const noexcept {
    if (bytes.size() < kLength) return 0;
    std::copy_n(destination.begin(), 6, bytes.begin());
    std::copy_n(source.begin(), 6, bytes.begin() + 6);
    store16(&bytes[12], ether_type);
    return kLength;
  }
  [[nodiscard]] bool operator==(const EthernetHeader&) const noexcept = default;
};

/// The part of an IEEE 802.1Q tag that follows the EtherType which marks it.
struct VlanHeader {
  static constexpr std::size_t kLength = 4;  ///< bytes

  std::uint16_t id = 0;          ///< 0 to 4,095
  std::uint8_t priority = 0;     ///< 0 to 7
  bool drop_eligible = false;    ///< the DEI bit: drop this frame first if there is too little room
  std::uint16_t ether_type = 0;  ///< of the header after the tag

  /// Priority, DEI and id as in the tag, in host byte order.
  [[nodiscard]] std::uint16_t tag_control() const noexcept {
    return static_cast<std::uint16_t>(priority << 13 | (drop_eligible ? 1 << 12 : 0) | id);
  }
  /// As those of EthernetHeader.
  ///@{
  [[nodiscard]] static std::optional<VlanHeader> read(std::span<const std::uint8_t> bytes) noexcept {
    if (bytes.size() < kLength) return std::nullopt;
    const std::uint16_t control = load16(bytes.data());
    return VlanHeader{.id = static_cast<std::uint16_t>(control & 0x0FFF),
                      .priority = static_cast<std::uint8_t>(control >> 13),
                      .drop_eligible = (control >> 12 & 1) != 0,
                      .ether_type = load16(&bytes[2])};
  }
  std::size_t write(std::span<std::uint8_t> bytes) const noexcept {
    if (bytes.size() < kLength || id > 0x0FFF || priority > 7) return 0;
    store16(bytes.data(), tag_control());
    store16(&bytes[2], ether_type);
    return kLength;
  }
  ///@}
  [[nodiscard]] bool operator==(const VlanHeader&) const noexcept = default;
};

/// ARP for IPv4 over Ethernet: RFC 826.
struct ArpHeader {
  static constexpr std::size_t kLength = 28;    ///< bytes
  static constexpr std::uint16_t kRequest = 1;  ///< a value of `operation`
  static constexpr std::uint16_t kReply = 2;    ///< a value of `operation`

  std::uint16_t operation = kRequest;  ///< kRequest, kReply or another of RFC 826
  /// First byte on the wire first. In a request `target_mac` is not known and usually 0.
  ///@{
  MacAddress sender_mac{};
  Ipv4Address sender{};
  MacAddress target_mac{};
  Ipv4Address target{};
  ///@}

  /// Also empty for ARP of other protocols or hardware.
  [[nodiscard]] static std::optional<ArpHeader> read(std::span<const std::uint8_t> bytes) noexcept {
    if (bytes.size() < kLength || !std::equal(kKind.begin(), kKind.end(), bytes.begin())) return std::nullopt;
    ArpHeader header;
    header.operation = load16(&bytes[6]);
    std::copy_n(bytes.begin() + 8, 6, header.sender_mac.begin());
    std::copy_n(bytes.begin() + 14, 4, header.sender.begin());
    std::copy_n(bytes.begin() + 18, 6, header.target_mac.begin());
    std::copy_n(bytes.begin() + 24, 4, header.target.begin());
    return header;
  }
  /// As that of EthernetHeader.
  std::size_t write(std::span<std::uint8_t> bytes) const noexcept {
    if (bytes.size() < kLength) return 0;
    std::copy_n(kKind.begin(), kKind.size(), bytes.begin());
    store16(&bytes[6], operation);
    std::copy_n(sender_mac.begin(), 6, bytes.begin() + 8);
    std::copy_n(sender.begin(), 4, bytes.begin() + 14);
    std::copy_n(target_mac.begin(), 6, bytes.begin() + 18);
    std::copy_n(target.begin(), 4, bytes.begin() + 24);
    return kLength;
  }
  [[nodiscard]] bool operator==(const ArpHeader&) const noexcept = default;

 private:
  /// Hardware type Ethernet, protocol IPv4, and the lengths of their addresses.
  static constexpr std::array<std::uint8_t, 6> kKind{0, 1, 0x08, 0x00, 6, 4};
};

}  // namespace pollux::packet
