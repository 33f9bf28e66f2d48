// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>

#include "pollux/base/api.hpp"
#include "pollux/mem/mbuf.hpp"

namespace pollux {

/// What a frame carries, as far as it is known; several bits may be set.
struct PacketType {
  enum Bit : std::uint32_t { ipv4 = 1, ipv4_options = 2, ipv6 = 4, ipv6_extensions = 8, tcp = 16, udp = 32, sctp = 64 };
  std::uint32_t bits = 0;

  [[nodiscard]] constexpr bool has(Bit bit) const noexcept { return (bits & bit) != 0; }
  [[nodiscard]] constexpr bool operator==(const PacketType&) const noexcept = default;
};

/// What came with a received frame. Decoded from the mbuf's two raw words when asked for, and at no other time: a
/// program that does not ask does not pay. Words are read by their format (`Mbuf::rx_format`): those of Intel's
/// advanced receive descriptor as they are (82575 manual, 5.3.4; Linux igb, e1000_82575.h), all others on the unlikely
/// side, where they are brought into the same form.
class POLLUX_API RxMetadata {
 public:
  explicit RxMetadata(const Mbuf& mbuf) noexcept {
    Words words{mbuf.rx_word(0), mbuf.rx_word(1)};
    if (!mbuf.has_intel_rx_words()) [[unlikely]]
      words = decode(mbuf);
    low_ = words.low;
    high_ = words.high;
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
  /// That of the IPv4 header. `partial`: the frame came from software that left it to be computed, and the mbuf's
  /// request (`Mbuf::tx_offload`) has that done when the frame is sent on.
  [[nodiscard]] ChecksumStatus ip_checksum() const noexcept {
    if ((high_ >> kIp.checked & 1) == 0) return ChecksumStatus::unknown;
    if ((high_ >> kIp.error & 1) == 0) [[likely]]
      return ChecksumStatus::good;
    return is_partial(kIp) ? ChecksumStatus::partial : ChecksumStatus::bad;
  }
  /// That of TCP, UDP or SCTP; `partial` as above. A partial one is as good as a good one to who receives the frame:
  /// its bytes were never on a wire. SCTP of 60 bytes is never bad: the 82576 says so wrongly (docs/82576/errata.md,
  /// E-SCTP60), so then it is unknown.
  [[nodiscard]] ChecksumStatus l4_checksum() const noexcept {
    if ((high_ >> kL4.checked & 1) == 0) return ChecksumStatus::unknown;
    if ((high_ >> kL4.error & 1) == 0) [[likely]]
      return ChecksumStatus::good;
    if (is_partial(kL4)) return ChecksumStatus::partial;
    return is_short_sctp() ? ChecksumStatus::unknown : ChecksumStatus::bad;
  }

 private:
  friend struct SoftwareRxMetadata;

  struct Words {
    std::uint64_t low;
    std::uint64_t high;
  };
  /// Numbers of bits in the high word.
  struct Check {
    unsigned checked;
    unsigned error;
    unsigned partial;  ///< with `error`, and never in a card's words
  };
  static constexpr Check kIp = {.checked = 6, .error = 30, .partial = 25};
  static constexpr Check kL4 = {.checked = 5, .error = 29, .partial = 24};
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
  // A card's frame has a length, whatever its other bits are; what software notes has none.
  [[nodiscard]] bool is_partial(Check check) const noexcept {
    return (high_ >> kLengthShift & 0xFFFF) == 0 && (high_ >> check.partial & 1) != 0;
  }
  [[nodiscard]] static Words decode(const Mbuf& mbuf) noexcept;

  std::uint64_t low_ = 0;
  std::uint64_t high_ = 0;
};

/// Notes metadata of a frame that software made or looked into. That a checksum is `partial` is not noted but follows
/// from the mbuf's request, as long as that is there.
struct SoftwareRxMetadata {
  PacketType packet_type = {};
  std::optional<std::uint32_t> rss_hash = {};
  std::optional<std::uint16_t> vlan = {};
  ChecksumStatus ip_checksum = ChecksumStatus::unknown;
  ChecksumStatus l4_checksum = ChecksumStatus::unknown;

  void attach_to(Mbuf& mbuf) const noexcept {
    // Which fields were hashed nobody asks; any type but 0 says that there is a hash.
    const std::uint64_t hash = rss_hash ? std::uint64_t{*rss_hash} << RxMetadata::kHashShift | 1U : 0U;
    const std::uint64_t type = (packet_type.bits & RxMetadata::kTypeMask) << RxMetadata::kTypeShift;
    const std::uint64_t tag = vlan ? std::uint64_t{*vlan} << RxMetadata::kVlanShift | RxMetadata::kVlan : 0U;
    mbuf.set_rx_words(RxFormat::software, hash | type,
                      tag | noted(ip_checksum, RxMetadata::kIp) | noted(l4_checksum, RxMetadata::kL4));
  }

 private:
  static std::uint64_t noted(ChecksumStatus status, RxMetadata::Check check) noexcept {
    const bool is_bad = status == ChecksumStatus::bad;
    return std::uint64_t{is_bad || status == ChecksumStatus::good} << check.checked | std::uint64_t{is_bad}
                                                                                          << check.error;
  }
};

}  // namespace pollux
