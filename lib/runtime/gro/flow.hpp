// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "pollux/mem/mbuf.hpp"
#include "pollux/net/packet/ip.hpp"
#include "pollux/runtime/gro.hpp"

namespace pollux::gro {

/// Words of headers as they are in memory: enough to compare them.
[[nodiscard]] inline std::uint16_t word16(const std::uint8_t* at) noexcept {
  std::uint16_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}
[[nodiscard]] inline std::uint32_t word32(const std::uint8_t* at) noexcept {
  std::uint32_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}
[[nodiscard]] inline std::uint64_t word64(const std::uint8_t* at) noexcept {
  std::uint64_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

/// A number between host and network byte order, in either direction.
[[nodiscard]] constexpr std::uint16_t swap16(std::uint16_t number) noexcept {
  return std::endian::native == std::endian::little ? __builtin_bswap16(number) : number;
}
[[nodiscard]] constexpr std::uint32_t swap32(std::uint32_t number) noexcept {
  return std::endian::native == std::endian::little ? __builtin_bswap32(number) : number;
}

// Bytes of headers.
inline constexpr std::uint16_t kEthernet = 14;
inline constexpr std::uint16_t kTag = 4;
inline constexpr std::uint16_t kIpv4 = 20;  ///< without options
inline constexpr std::uint16_t kIpv6 = 40;
inline constexpr std::uint16_t kVxlan = 8;  ///< RFC 7348, 5

/// The flag of an IPv4 header's fourth half word, as it is in memory.
inline constexpr std::uint16_t kDontFragment = swap16(0x4000);

/// What GRO may do with a frame.
enum class SegmentKind : std::uint8_t {
  /// Belongs to no flow, or cannot be trusted: it passes and changes nothing.
  other,
  /// Its headers are not in its first mbuf: it passes after all that is held.
  scattered,
  mergeable
};

/// Where the headers of a frame are, in bytes from its start.
struct HeaderLayout {
  std::uint16_t outer_l3 = 0;  ///< the IP header of a VXLAN tunnel; 0: no tunnel
  std::uint16_t outer_l4 = 0;  ///< its UDP header
  std::uint16_t l3 = 0;
  std::uint16_t l4 = 0;
  std::uint16_t payload = 0;
  bool outer_is_ipv6 = false;
  bool is_ipv6 = false;
  bool is_udp = false;  ///< else TCP

  [[nodiscard]] bool in_tunnel() const noexcept { return outer_l3 != 0; }
  [[nodiscard]] std::uint8_t protocol() const noexcept {
    return is_udp ? packet::ip_protocol::kUdp : packet::ip_protocol::kTcp;
  }
};

/// A frame with its TCP or UDP header.
struct Segment : HeaderLayout {
  Mbuf* mbuf = nullptr;
  const std::uint8_t* bytes = nullptr;
  std::uint32_t hash = 0;  ///< of RSS; 0: none
  std::uint32_t vlan = 0;  ///< the tag in the metadata; 0: none
  std::uint32_t payload_length = 0;
  bool ends_flow = false;  ///< is not merged, and ends the flow that it belongs to

  static constexpr std::uint32_t kHasVlan = 1U << 16;
  static constexpr std::uint32_t kInnerVlan = 1U << 17;  ///< RxMetadata::vlan_is_inner
};

/// Reads the headers of `mbuf` and checks its checksums. `segment` is complete only if the result is `mergeable`.
[[nodiscard]] SegmentKind read_segment(Mbuf& mbuf, const GroOptions& options, Segment& segment) noexcept;

/// What the next frame of a flow looks like if it is a full segment in one mbuf, whose checksums the port found good,
/// and has nothing new in its headers but sequence number, checksums and IPv4 identification. It is compared as words,
/// without reading the headers one by one. A frame that differs may belong to the flow all the same.
class Expected {
 public:
  /// Bytes of the frame that are compared: Ethernet with a tag, IPv6 and TCP with timestamps fit. Shorter frames do not
  /// match.
  static constexpr std::uint32_t kBytes = 96;

  /// Nothing matches.
  Expected() noexcept {}
  /// From the first segment of a flow. Nothing matches if its checksums are not known to be good, its headers are
  /// longer than `kBytes`, it has CWR, or IPv6 extension headers.
  explicit Expected(const Segment& first) noexcept;

  /// Whether `mbuf` and its metadata are as expected. It then has `kBytes` bytes at least.
  [[nodiscard]] bool matches_mbuf(const Mbuf& mbuf) const noexcept {
    return (((MbufAccess::word(mbuf) & kWordMask) ^ word_) | ((mbuf.rx_word(0) & rx_low_mask_) ^ rx_low_) |
            (mbuf.rx_word(1) ^ rx_high_)) == 0;
  }
  /// Whether the masked headers are. `bytes`: of a frame for which `matches_mbuf` is true.
  [[nodiscard]] bool matches_headers(const std::uint8_t* bytes) const noexcept {
    Vector differing{};
    for (std::size_t i = 0; i < kVectors; ++i) {
      Vector words;
      std::memcpy(&words, bytes + i * sizeof words, sizeof words);
      differing |= (words & mask_[i]) ^ headers_[i];
    }
    return (differing[0] | differing[1]) == 0;
  }

 private:
  // The compilers make vector instructions of the operations on these.
  using Vector = std::uint64_t __attribute__((vector_size(16)));
  static constexpr std::size_t kVectors = kBytes / sizeof(Vector);
  /// Data length, special and receive format.
  static constexpr std::uint64_t kWordMask = std::uint64_t{0xFFFF} | std::uint64_t{0xFF} << MbufAccess::kSpecialShift |
                                             std::uint64_t{0xF000} << MbufAccess::kOriginShift;
  /// Masked, no word equals this one.
  static constexpr std::uint64_t kNever = std::uint64_t{1} << MbufAccess::kPoolShift;

  void set_headers(const Segment& first) noexcept;

  std::uint64_t word_ = kNever;
  std::uint64_t rx_low_ = 0;
  std::uint64_t rx_low_mask_ = 0;
  std::uint64_t rx_high_ = 0;
  // Not initialised if nothing matches.
  std::array<Vector, kVectors> headers_;  ///< those of the first segment, masked
  std::array<Vector, kVectors> mask_;
};

/// The limits of a merged frame: bytes, of which 65,535 after the Ethernet header, and mbufs.
inline constexpr std::uint32_t kMaxFrame = 65535 + 14;
inline constexpr std::uint32_t kMaxMbufs = 255;

/// A held frame, to which segments may be appended.
struct Flow : HeaderLayout {
  Mbuf* head = nullptr;  ///< the first segment; the others are its chain
  Mbuf* tail = nullptr;  ///< the last mbuf of that chain
  const std::uint8_t* bytes = nullptr;
  std::uint32_t hash = 0;
  std::uint32_t vlan = 0;
  std::uint32_t next_sequence = 0;
  std::uint32_t length = 0;        ///< bytes of the frame
  std::uint32_t segment_size = 0;  ///< bytes of payload in the first segment
  std::uint16_t count = 0;         ///< segments
  std::uint16_t mbufs = 0;         ///< of the frame; written to `head` at the end, as the length is
  bool has_fixed_id = false;       ///< all segments have the same IPv4 identification
  bool has_fixed_outer_id = false;
  Expected expected;

  explicit Flow() = default;
  explicit Flow(const Segment& first) noexcept;
};

/// The most UDP datagrams of a merged frame, as in Linux.
inline constexpr std::uint32_t kMaxDatagrams = 64;

/// Whether `segment` belongs to the flow: the same Ethernet header, tags, addresses, ports and, in IPv6, flow label and
/// extension headers; in a tunnel the same of that, too.
[[nodiscard]] bool is_of_flow(const Flow& flow, const Segment& segment) noexcept;

/// Appends `segment`, which belongs to the flow, if it may be merged. Takes the mbuf if it returns true.
[[nodiscard]] bool append(Flow& flow, const Segment& segment) noexcept;

/// Appends those at the front of `frames` that are the expected next ones of the flow (Expected), and takes them.
/// Returns the others. None of the appended frames ends the flow. The result is that of `append` for each.
[[nodiscard]] std::span<Mbuf* const> append_run(Flow& flow, std::span<Mbuf* const> frames) noexcept;

/// Whether the flow ends with `last`, which was appended: it is shorter than the others, has a flag that says so, or
/// a UDP flow is full.
[[nodiscard]] bool ends_with(const Flow& flow, const Segment& last) noexcept;

/// Whether others may follow `first`: it has payload, and no flag against that.
[[nodiscard]] bool starts_flow(const Segment& first) noexcept;

/// Makes the frame of the flow complete: lengths, checksums, metadata and offload request.
[[nodiscard]] Mbuf& finish(const Flow& flow) noexcept;

}  // namespace pollux::gro
