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
/// program that does not ask does not pay. There is one layout, that of the advanced receive descriptor's write-back
/// (82575 manual, 5.3.4; Linux igb, e1000_82575.h); software that notes metadata writes the same, so that a reader need
/// not ask who did, which would be 5 instructions a frame.
class RxMetadata {
 public:
  explicit RxMetadata(const Mbuf& mbuf) noexcept {
    if (!mbuf.has_rx_words()) [[unlikely]]
      return;
    low_ = mbuf.rx_word(0);
    high_ = mbuf.rx_word(1);
  }

  /// The receive-side scaling hash.
  [[nodiscard]] std::optional<std::uint32_t> rss_hash() const noexcept {
    if ((low_ & kHashType) == 0) return std::nullopt;
    return static_cast<std::uint32_t>(low_ >> kHashShift);
  }
  /// The tag control information that was stripped off, host byte order. The igb driver does not have tags stripped
  /// yet, so of its frames there is none, and a tag is where it was: in the frame.
  [[nodiscard]] std::optional<std::uint16_t> vlan() const noexcept {
    if ((high_ & kVlan) == 0) return std::nullopt;
    return static_cast<std::uint16_t>(high_ >> kVlanShift);
  }
  [[nodiscard]] PacketType packet_type() const noexcept {
    // The bits mean something else when an EtherType filter matched.
    if ((low_ & kEtherFilter) != 0) [[unlikely]]
      return {};
    return {static_cast<std::uint32_t>(low_ >> kTypeShift & kTypeMask)};
  }
  [[nodiscard]] ChecksumVerdict ip_checksum() const noexcept { return verdict(kIp); }
  /// That of TCP, UDP or SCTP. SCTP of 60 bytes is never bad: the 82576 says so wrongly (docs/82576/errata.md,
  /// E-SCTP60), so then it is unknown.
  [[nodiscard]] ChecksumVerdict l4_checksum() const noexcept {
    if ((high_ >> kL4.checked & 1) == 0) return ChecksumVerdict::unknown;
    if ((high_ >> kL4.error & 1) == 0) [[likely]]
      return ChecksumVerdict::good;
    return is_short_sctp() ? ChecksumVerdict::unknown : ChecksumVerdict::bad;
  }

 private:
  friend struct SoftwareRxMetadata;

  /// Numbers of bits in the high word.
  struct Check {
    unsigned checked;
    unsigned error;
  };
  static constexpr Check kIp = {.checked = 6, .error = 30};
  static constexpr Check kL4 = {.checked = 5, .error = 29};
  static constexpr std::uint64_t kHashType = 0xF;  // of the low word: what was hashed, or 0
  static constexpr unsigned kTypeShift = 4;
  static constexpr std::uint64_t kTypeMask = 0x7F;
  static constexpr std::uint64_t kEtherFilter = std::uint64_t{1} << 15;
  static constexpr unsigned kHashShift = 32;
  static constexpr std::uint64_t kVlan = std::uint64_t{1} << 3;
  static constexpr unsigned kLengthShift = 32;  // of the high word
  static constexpr unsigned kVlanShift = 48;

  // Of a frame in several buffers this is what the last one holds, and 60 bytes there cost it a verdict, too.
  [[nodiscard]] bool is_short_sctp() const noexcept {
    constexpr std::uint64_t kWrongLength = 60;
    return packet_type().has(PacketType::sctp) && (high_ >> kLengthShift & 0xFFFF) == kWrongLength;
  }
  [[nodiscard]] ChecksumVerdict verdict(Check check) const noexcept {
    if ((high_ >> check.checked & 1) == 0) return ChecksumVerdict::unknown;
    return (high_ >> check.error & 1) != 0 ? ChecksumVerdict::bad : ChecksumVerdict::good;
  }

  std::uint64_t low_ = 0;
  std::uint64_t high_ = 0;
};

/// Notes metadata of a frame that software made or looked into.
struct SoftwareRxMetadata {
  PacketType packet_type = {};
  std::optional<std::uint32_t> rss_hash = {};
  std::optional<std::uint16_t> vlan = {};
  ChecksumVerdict ip_checksum = ChecksumVerdict::unknown;
  ChecksumVerdict l4_checksum = ChecksumVerdict::unknown;

  void attach_to(Mbuf& mbuf) const noexcept {
    // Which fields were hashed nobody asks; any type but 0 says that there is a hash.
    const std::uint64_t hash = rss_hash ? std::uint64_t{*rss_hash} << RxMetadata::kHashShift | 1U : 0U;
    const std::uint64_t type = (packet_type.bits & RxMetadata::kTypeMask) << RxMetadata::kTypeShift;
    const std::uint64_t tag = vlan ? std::uint64_t{*vlan} << RxMetadata::kVlanShift | RxMetadata::kVlan : 0U;
    mbuf.set_rx_words(RxFormat::write_back, hash | type,
                      tag | noted(ip_checksum, RxMetadata::kIp) | noted(l4_checksum, RxMetadata::kL4));
  }

 private:
  static std::uint64_t noted(ChecksumVerdict verdict, RxMetadata::Check check) noexcept {
    return std::uint64_t{verdict != ChecksumVerdict::unknown} << check.checked |
           std::uint64_t{verdict == ChecksumVerdict::bad} << check.error;
  }
};

}  // namespace pollux
