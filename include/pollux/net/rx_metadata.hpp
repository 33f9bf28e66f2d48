// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>

#include "pollux/base/api.hpp"
#include "pollux/mem/mbuf.hpp"

namespace pollux {

/// The known headers of a frame. Several bits may be set.
struct PacketType {
  /// One bit for each header; TCP, UDP and SCTP only in frames that are no fragments.
  enum Bit : std::uint32_t { ipv4 = 1, ipv4_options = 2, ipv6 = 4, ipv6_extensions = 8, tcp = 16, udp = 32, sctp = 64 };
  std::uint32_t bits = 0;  ///< of Bit

  /// Whether the frame has that header.
  [[nodiscard]] constexpr bool has(Bit bit) const noexcept { return (bits & bit) != 0; }
  [[nodiscard]] constexpr bool operator==(const PacketType&) const noexcept = default;
};

/// Puts the VLAN tag that the card has stripped from a received frame back where it was on the wire, and removes it
/// from the metadata. True: the mbuf has the frame as it was on the wire, also if no tag was stripped. False, with
/// nothing changed: too little headroom, bytes that a clone shares, or a first segment that ends before the tag's
/// place. Thread rule: that of the mbuf.
[[nodiscard]] POLLUX_API bool put_back_vlan_tag(Mbuf& frame) noexcept;

/// The metadata of a received frame. It is decoded on request from two words of the mbuf, so it costs nothing if it is
/// not used. `Mbuf::rx_format` is the format of the words. Words of Intel's advanced receive descriptor are used
/// directly (82575 manual, 5.3.4; Linux igb, e1000_82575.h). Other formats are converted to this one out of line.
class POLLUX_API RxMetadata {
 public:
  /// Copies what it needs, so the mbuf may change its owner later.
  explicit RxMetadata(const Mbuf& mbuf) noexcept {
    Words words{mbuf.rx_word(0), mbuf.rx_word(1)};
    if (!mbuf.has_intel_rx_words()) [[unlikely]]
      words = decode(mbuf);
    low_ = words.low;
    high_ = words.high;
    inner_tag_ = (kInnerTagFormats >> static_cast<unsigned>(mbuf.rx_format()) & 1U) != 0;
  }

  /// The hash for receive-side scaling (RSS), by which the card selects a receive queue.
  [[nodiscard]] std::optional<std::uint32_t> rss_hash() const noexcept {
    if ((low_ & kHashType) == 0) return std::nullopt;
    return static_cast<std::uint32_t>(low_ >> kHashShift);
  }
  /// The tag control information of a VLAN tag that the card has stripped (Settings::vlan_stripping), in host byte
  /// order. Empty if the frame had no tag, or still has it. `put_back_vlan_tag` undoes the stripping.
  [[nodiscard]] std::optional<std::uint16_t> vlan() const noexcept {
    if ((high_ & kVlan) == 0) return std::nullopt;
    return static_cast<std::uint16_t>(high_ >> kVlanShift);
  }
  /// Whether that tag was behind an outer one, which the frame still has (Settings::outer_vlan_type). Otherwise it was
  /// behind the MAC addresses.
  [[nodiscard]] bool vlan_is_inner() const noexcept { return inner_tag_; }
  /// What the card has recognised; empty if it does not say.
  [[nodiscard]] PacketType packet_type() const noexcept {
    // If an EtherType filter matched, the bits have another meaning.
    if ((low_ & kEtherFilter) != 0) [[unlikely]]
      return {};
    return {static_cast<std::uint32_t>(low_ >> kTypeShift & kTypeMask)};
  }
  /// Whether the card reported an error in the frame: a wrong FCS, for example. Such frames are received only with
  /// Settings::keep_bad_frames. The other members of a bad frame say nothing.
  [[nodiscard]] bool is_bad_frame() const noexcept { return (high_ & kDataError) != 0; }
  /// Whether the card noted when this frame arrived: FrameStamps.
  [[nodiscard]] bool is_stamped() const noexcept { return (high_ & kTimeStamped) != 0; }
  /// The status of the IPv4 header checksum. `partial` means that the frame came from software that did not compute the
  /// checksum. The offload request in the mbuf (`Mbuf::tx_offload`) lets the next port compute it.
  [[nodiscard]] ChecksumStatus ip_checksum() const noexcept {
    if ((high_ >> kIp.checked & 1) == 0) return ChecksumStatus::unknown;
    if ((high_ >> kIp.error & 1) == 0) [[likely]]
      return ChecksumStatus::good;
    return is_partial(kIp) ? ChecksumStatus::partial : ChecksumStatus::bad;
  }
  /// The status of the TCP, UDP or SCTP checksum; `partial` as above. A receiver can treat a partial checksum as good,
  /// because the bytes were never on a wire. For SCTP frames of 60 bytes a card may wrongly report a bad checksum
  /// (docs/82576/errata.md, E-SCTP60), so the status is then unknown. So is that of a packet with IPv4 options or IPv6
  /// extension headers that a card calls bad: cards differ in whether they find the pseudo-header's addresses there
  /// (`packet::l4_checksum` does).
  [[nodiscard]] ChecksumStatus l4_checksum() const noexcept {
    if ((high_ >> kL4.checked & 1) == 0) return ChecksumStatus::unknown;
    if ((high_ >> kL4.error & 1) == 0) [[likely]]
      return ChecksumStatus::good;
    if (is_partial(kL4)) return ChecksumStatus::partial;
    return is_short_sctp() || may_be_rerouted() ? ChecksumStatus::unknown : ChecksumStatus::bad;
  }

 private:
  friend struct SoftwareRxMetadata;
  friend bool put_back_vlan_tag(Mbuf& frame) noexcept;

  struct Words {
    std::uint64_t low;
    std::uint64_t high;
  };
  /// Bit numbers in the high word.
  struct Check {
    unsigned checked;
    unsigned error;
    unsigned partial;  ///< set together with `error`; never set by a card
  };
  static constexpr unsigned kInnerTagFormats = 1U << static_cast<unsigned>(RxFormat::intel_inner_tag) |
                                               1U << static_cast<unsigned>(RxFormat::intel_looped_inner_tag) |
                                               1U << static_cast<unsigned>(RxFormat::software_inner_tag);
  static constexpr Check kIp = {.checked = 6, .error = 30, .partial = 25};
  static constexpr Check kL4 = {.checked = 5, .error = 29, .partial = 24};
  static constexpr std::uint64_t kHashType = 0xF;  // of the low word: the hashed fields, or 0
  static constexpr unsigned kTypeShift = 4;
  static constexpr std::uint64_t kTypeMask = 0x7F;
  static constexpr std::uint64_t kEtherFilter = std::uint64_t{1} << 15;
  static constexpr unsigned kHashShift = 32;
  static constexpr std::uint64_t kVlan = std::uint64_t{1} << 3;
  static constexpr std::uint64_t kTimeStamped = std::uint64_t{1} << 16;
  static constexpr std::uint64_t kLooped = std::uint64_t{1} << 18;  // came from another pool or function
  static constexpr std::uint64_t kDataError = std::uint64_t{1} << 31;
  static constexpr unsigned kLengthShift = 32;  // of the high word
  static constexpr unsigned kVlanShift = 48;
  static constexpr std::uint64_t kVlanNumber = 0xFFF;

  // In a frame of several buffers this is the length in the last buffer. If it is 60, the status is unknown, too.
  [[nodiscard]] bool is_short_sctp() const noexcept {
    constexpr std::uint64_t kWrongLength = 60;
    return packet_type().has(PacketType::sctp) && (high_ >> kLengthShift & 0xFFFF) == kWrongLength;
  }
  [[nodiscard]] bool may_be_rerouted() const noexcept {
    return is_of_card() && (packet_type().bits & (PacketType::ipv4_options | PacketType::ipv6_extensions)) != 0;
  }
  // A card always reports a length, and software never does.
  [[nodiscard]] bool is_of_card() const noexcept { return (high_ >> kLengthShift & 0xFFFF) != 0; }
  [[nodiscard]] bool is_partial(Check check) const noexcept {
    return !is_of_card() && (high_ >> check.partial & 1) != 0;
  }
  [[nodiscard]] static Words decode(const Mbuf& mbuf) noexcept;

  std::uint64_t low_ = 0;
  std::uint64_t high_ = 0;
  bool inner_tag_ = false;
};

/// Receive metadata that software stores in an mbuf, for a frame that it created or classified. `partial` is not
/// stored: it is derived from the mbuf's offload request.
struct SoftwareRxMetadata {
  /// As the members of these names of RxMetadata return them.
  ///@{
  PacketType packet_type = {};
  std::optional<std::uint32_t> rss_hash = {};
  std::optional<std::uint16_t> vlan = {};
  bool vlan_is_inner = false;
  ChecksumStatus ip_checksum = ChecksumStatus::unknown;
  ChecksumStatus l4_checksum = ChecksumStatus::unknown;
  ///@}

  /// Replaces the mbuf's receive metadata.
  void attach_to(Mbuf& mbuf) const noexcept {
    // A type other than 0 means that there is a hash. Its value is not used.
    const std::uint64_t hash = rss_hash ? std::uint64_t{*rss_hash} << RxMetadata::kHashShift | 1U : 0U;
    const std::uint64_t type = (packet_type.bits & RxMetadata::kTypeMask) << RxMetadata::kTypeShift;
    const std::uint64_t tag = vlan ? std::uint64_t{*vlan} << RxMetadata::kVlanShift | RxMetadata::kVlan : 0U;
    mbuf.set_rx_words(vlan_is_inner ? RxFormat::software_inner_tag : RxFormat::software, hash | type,
                      tag | checksum_bits(ip_checksum, RxMetadata::kIp) | checksum_bits(l4_checksum, RxMetadata::kL4));
  }

 private:
  static std::uint64_t checksum_bits(ChecksumStatus status, RxMetadata::Check check) noexcept {
    const bool is_bad = status == ChecksumStatus::bad;
    return std::uint64_t{is_bad || status == ChecksumStatus::good} << check.checked | std::uint64_t{is_bad}
                                                                                          << check.error;
  }
};

}  // namespace pollux
