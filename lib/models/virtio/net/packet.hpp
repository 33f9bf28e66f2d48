// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "hw/virtio/features.hpp"
#include "hw/virtio/net.hpp"

/// What the device knows about the contents of frames: headers, checksums, segments, hashes. Frames are without FCS.
namespace pollux::models::virtio {

namespace hw = pollux::hw::virtio;

/// NetHeader::flags and gso_type: VIRTIO 1.3, 5.1.6.
inline constexpr std::uint8_t kNeedsChecksum = 1;
inline constexpr std::uint8_t kDataValid = 2;
inline constexpr std::uint8_t kGsoNone = 0;
inline constexpr std::uint8_t kGsoTcp4 = 1;
inline constexpr std::uint8_t kGsoTcp6 = 4;
inline constexpr std::uint8_t kGsoUdp = 5;  // segments are datagrams
inline constexpr std::uint8_t kGsoEcn = 0x80;

inline constexpr std::size_t kEthernetBytes = 14;
inline constexpr std::uint8_t kTcp = 6;
inline constexpr std::uint8_t kUdp = 17;

/// The headers of an IPv4 or IPv6 packet that is no fragment. Offsets from the start of the frame, within it.
struct Headers {
  std::size_t ip = 0;
  std::size_t l4 = 0;
  std::size_t end = 0;  ///< of the packet, by its length
  bool is_ipv6 = false;
  std::uint8_t protocol = 0;
  [[nodiscard]] bool has_ports(std::span<const std::byte> frame) const noexcept {
    return (protocol == kTcp || protocol == kUdp) && l4 + 8 <= frame.size();
  }
};
/// Nothing if the frame is another kind of packet, or is cut short. Up to two VLAN tags. A fragment has no ports.
[[nodiscard]] std::optional<Headers> parse(std::span<const std::byte> frame);

/// The VLAN of the outer tag; nothing without one.
[[nodiscard]] std::optional<std::uint16_t> vlan_of(std::span<const std::byte> frame);

/// The ones' complement sum of `bytes` and `start`, not inverted (RFC 1071).
[[nodiscard]] std::uint16_t sum(std::span<const std::byte> bytes, std::uint32_t start = 0) noexcept;
/// The sum of the pseudo-header for `length` bytes of transport header and data.
[[nodiscard]] std::uint16_t pseudo_sum(std::span<const std::byte> frame, const Headers& headers, std::size_t length);

/// Whether the checksums of IPv4 and of TCP or UDP are there and right.
[[nodiscard]] bool checksums_are_right(std::span<const std::byte> frame);

/// Whether a header fits its frame and the features that allow it: HOST_ ones of a frame that the driver sends, or the
/// GUEST_ ones of a frame that it is to receive. 5.1.6.2.1 "Driver Requirements: Packet Transmission".
[[nodiscard]] bool is_valid(const hw::NetHeader& header, std::span<const std::byte> frame, hw::Features features);
/// The HOST_ bits that correspond to the GUEST_ bits of `features`.
[[nodiscard]] hw::Features host_bits(hw::Features features) noexcept;

/// What a wire carries for a frame with a header: the frame with its checksum, or its segments, which are made one by
/// one.
class Completion {
 public:
  /// Takes the bytes of `frame`; `header` is valid for it.
  void start(const hw::NetHeader& header, std::vector<std::byte>& frame);
  [[nodiscard]] bool finished() const noexcept { return left_ == 0; }
  /// The next frame, valid until the next call. Precondition: not finished.
  [[nodiscard]] std::span<const std::byte> next();
  [[nodiscard]] std::size_t left() const noexcept { return left_; }
  void discard() noexcept { left_ = 0; }

 private:
  void make_segment();

  std::vector<std::byte> frame_;
  std::vector<std::byte> segment_;
  Headers headers_;
  std::size_t payload_ = 0;       // where it begins
  std::size_t segment_size_ = 0;  // of payload; 0: the frame is not segmented
  std::size_t number_ = 0;
  std::size_t left_ = 0;  // frames
};

/// The hash of a frame by one of `types`, with the key (5.1.6.4.3); `report` is 0 if there is none.
struct Hash {
  std::uint32_t value = 0;
  std::uint16_t report = 0;
};
[[nodiscard]] Hash hash_of(std::span<const std::byte> frame, std::uint32_t types, std::span<const std::uint8_t> key);
/// What the device can hash.
inline constexpr std::uint32_t kHashTypes = hw::hash_type::kIpv4 | hw::hash_type::kTcpv4 | hw::hash_type::kUdpv4 |
                                            hw::hash_type::kIpv6 | hw::hash_type::kTcpv6 | hw::hash_type::kUdpv6;

/// A number that is the same for both directions of a flow.
[[nodiscard]] std::uint32_t flow_of(std::span<const std::byte> frame);

}  // namespace pollux::models::virtio
