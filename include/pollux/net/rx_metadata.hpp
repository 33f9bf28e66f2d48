// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>

#include "pollux/mem/mbuf.hpp"

namespace pollux {

/// What a check of a checksum came to.
enum class ChecksumVerdict : std::uint8_t {
  unknown,  ///< nobody looked
  good,
  bad,
};

/// What a frame carries, as far as it is known; several bits may be set.
struct PacketType {
  enum Bit : std::uint32_t { ipv4 = 1, ipv4_options = 2, ipv6 = 4, ipv6_extensions = 8, tcp = 16, udp = 32, sctp = 64 };
  std::uint32_t bits = 0;

  [[nodiscard]] constexpr bool has(Bit bit) const noexcept { return (bits & bit) != 0; }
  [[nodiscard]] constexpr bool operator==(const PacketType&) const noexcept = default;
};

/// What came with a received frame. Decoded from the mbuf's two raw words when asked for, and at no other time: a
/// program that does not ask does not pay. Layouts: RxFormat::intel_advanced is the write-back of the advanced receive
/// descriptor (82575 manual, 5.3.4; Linux igb, e1000_82575.h). RxFormat::software: low word: PacketType in bits 0 to
/// 31, hash in 32 to 63; high word: bit 0 hash is valid, bit 1 VLAN is valid, bits 2 and 3 the IPv4 header's
/// ChecksumVerdict, bits 4 and 5 that of TCP, UDP or SCTP, bits 48 to 63 the VLAN tag.
class RxMetadata {
 public:
  explicit RxMetadata(const Mbuf& mbuf) noexcept
      : low_(mbuf.rx_word(0)), high_(mbuf.rx_word(1)), format_(mbuf.rx_format()) {}

  /// The receive-side scaling hash.
  [[nodiscard]] std::optional<std::uint32_t> rss_hash() const noexcept {
    const bool valid = (is_intel() && (low_ & 0xF) != 0) || (is_software() && (high_ & 1) != 0);
    return valid ? std::optional(static_cast<std::uint32_t>(low_ >> 32)) : std::nullopt;
  }
  /// The tag control information that was stripped off, host byte order.
  [[nodiscard]] std::optional<std::uint16_t> vlan() const noexcept {
    const bool valid = (is_intel() && (high_ & 8) != 0) || (is_software() && (high_ & 2) != 0);
    return valid ? std::optional(static_cast<std::uint16_t>(high_ >> 48)) : std::nullopt;
  }
  [[nodiscard]] PacketType packet_type() const noexcept {
    // Intel's bits are in the same order, from bit 4 on, but mean something else when an EtherType filter matched.
    if (is_intel()) return {(low_ & kIntelEtherFilter) != 0 ? 0U : static_cast<std::uint32_t>(low_ >> 4 & 0x7F)};
    return {is_software() ? static_cast<std::uint32_t>(low_) : 0U};
  }
  [[nodiscard]] ChecksumVerdict ip_checksum() const noexcept {
    if (is_intel()) return intel_verdict(6, 30);
    return software_verdict(2);
  }
  [[nodiscard]] ChecksumVerdict l4_checksum() const noexcept {
    if (is_intel()) return intel_verdict(5, 29);
    return software_verdict(4);
  }

 private:
  static constexpr std::uint64_t kIntelEtherFilter = std::uint64_t{1} << 15;

  [[nodiscard]] bool is_intel() const noexcept { return format_ == RxFormat::intel_advanced; }
  [[nodiscard]] bool is_software() const noexcept { return format_ == RxFormat::software; }
  [[nodiscard]] ChecksumVerdict intel_verdict(unsigned checked_bit, unsigned error_bit) const noexcept {
    if ((high_ >> checked_bit & 1) == 0) return ChecksumVerdict::unknown;
    return (high_ >> error_bit & 1) != 0 ? ChecksumVerdict::bad : ChecksumVerdict::good;
  }
  [[nodiscard]] ChecksumVerdict software_verdict(unsigned shift) const noexcept {
    const auto value = static_cast<std::uint8_t>(high_ >> shift & 3);
    return is_software() && value <= 2 ? static_cast<ChecksumVerdict>(value) : ChecksumVerdict::unknown;
  }

  std::uint64_t low_;
  std::uint64_t high_;
  RxFormat format_;
};

/// Notes metadata of a frame that software made or looked into.
struct SoftwareRxMetadata {
  PacketType packet_type = {};
  std::optional<std::uint32_t> rss_hash = {};
  std::optional<std::uint16_t> vlan = {};
  ChecksumVerdict ip_checksum = ChecksumVerdict::unknown;
  ChecksumVerdict l4_checksum = ChecksumVerdict::unknown;

  void attach_to(Mbuf& mbuf) const noexcept {
    const std::uint64_t flags = (rss_hash ? 1U : 0U) | (vlan ? 2U : 0U) | static_cast<std::uint64_t>(ip_checksum) << 2 |
                                static_cast<std::uint64_t>(l4_checksum) << 4;
    mbuf.set_rx_words(RxFormat::software, packet_type.bits | std::uint64_t{rss_hash.value_or(0)} << 32,
                      flags | std::uint64_t{vlan.value_or(0)} << 48);
  }
};

}  // namespace pollux
