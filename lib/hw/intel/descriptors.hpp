// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

/// Advanced descriptors as two raw little-endian words, which are read and written whole, the constants of their
/// fields, and the limits of their rings. Layouts: Linux igb, e1000_82575.h; DPDK e1000, e1000_base.h and
/// e1000_82575.h; 82575 manual, 5.3.4.
namespace pollux::hw::intel {

inline constexpr std::uint32_t kDescriptorBytes = 16;
/// The size of a ring is a multiple of 8 descriptors (DPDK e1000, e1000_defines.h, REQ_RX_DESCRIPTOR_MULTIPLE; 82575
/// manual, RDLEN: bits 19:7).
inline constexpr std::uint32_t kRingMultiple = 8;
/// Linux igb (IGB_MAX_RXD) and DPDK (IGB_MAX_RING_DESC) allow up to 4096. The field has room for 64 Ki.
inline constexpr std::uint32_t kRingMin = 8;
inline constexpr std::uint32_t kRingMax = 4096;
/// Alignment of ring bases, in bytes (DPDK, IGB_ALIGN; QEMU keeps address bits 4:0 zero).
inline constexpr std::uint32_t kRingAlignment = 128;

/// The longest frame, including FCS: 9.5 KiB (DPDK e1000, e1000_defines.h, MAX_RX_JUMBO_FRAME_SIZE).
inline constexpr std::uint32_t kMaxFrameBytes = 9728;

/// [I-TXSEGMENT] The longest buffer of one transmit descriptor, as in Linux igb. The length field has 16 bits.
inline constexpr std::uint32_t kTxSegmentMax = 32 * 1024;

/// SRRCTL.BSIZEPACKET counts KiB, so a queue's receive buffers have 1 to 127 KiB.
inline constexpr std::uint32_t kRxBufferUnit = 1024;
inline constexpr std::uint32_t kRxBufferUnitsMax = 127;

/// SRRCTL.BSIZEHEADER counts units of 64 bytes in four bits, so header buffers have 64 to 960 bytes.
inline constexpr std::uint32_t kRxHeaderUnit = 64;
inline constexpr std::uint32_t kRxHeaderUnitsMax = 15;

/// One slot of any ring, in any of the formats below.
struct alignas(16) Descriptor {
  std::uint64_t lo = 0;
  std::uint64_t hi = 0;

  friend constexpr bool operator==(const Descriptor&, const Descriptor&) noexcept = default;
};
static_assert(sizeof(Descriptor) == 16);

/// Receive descriptors: as software arms them, and as the card writes them back.
namespace rx {

/// A descriptor with a buffer for the card to fill. `packet` must be even: its bit 0 can mean "no snoop" (82575 manual,
/// 5.3.4.1). `header` is only used for header split, and must be even: the card writes DD into its bit 0.
[[nodiscard]] constexpr Descriptor armed(std::uint64_t packet, std::uint64_t header = 0) noexcept {
  return {packet, header};
}

// Low word of a write-back.
inline constexpr std::uint64_t kRssTypeMask = 0xF;
inline constexpr unsigned kPacketTypeShift = 4;
inline constexpr std::uint64_t kPacketTypeMask = 0xFFF;
inline constexpr unsigned kHeaderLengthShift = 21;
inline constexpr std::uint64_t kHeaderLengthMask = 0x3FF;
inline constexpr std::uint64_t kSplitHeader = std::uint64_t{1} << 31;
inline constexpr unsigned kHashShift = 32;      ///< with RXCSUM.PCSD set
inline constexpr unsigned kIpIdShift = 32;      ///< with RXCSUM.PCSD clear
inline constexpr unsigned kChecksumShift = 48;  ///< with RXCSUM.PCSD clear

// High word: status and errors, length, VLAN tag.
inline constexpr std::uint64_t kDone = std::uint64_t{1} << 0;
inline constexpr std::uint64_t kEndOfPacket = std::uint64_t{1} << 1;
inline constexpr std::uint64_t kVlan = std::uint64_t{1} << 3;           ///< a tag was found and stripped
inline constexpr std::uint64_t kUdpChecked = std::uint64_t{1} << 4;     ///< a UDP checksum was calculated
inline constexpr std::uint64_t kL4Checked = std::uint64_t{1} << 5;      ///< a TCP, UDP or SCTP check was made
inline constexpr std::uint64_t kIpChecked = std::uint64_t{1} << 6;      ///< the IPv4 header checksum was checked
inline constexpr std::uint64_t kInexact = std::uint64_t{1} << 7;        ///< passed a hash filter, not an exact filter
inline constexpr std::uint64_t kUdpValid = std::uint64_t{1} << 10;      ///< a first fragment with a UDP checksum
inline constexpr std::uint64_t kImmediate = std::uint64_t{1} << 11;     ///< caused an immediate interrupt
inline constexpr std::uint64_t kStampInFront = std::uint64_t{1} << 15;  ///< 16 bytes, the last eight a stamp
inline constexpr std::uint64_t kTimeStamped = std::uint64_t{1} << 16;
inline constexpr std::uint64_t kSecurity = std::uint64_t{1} << 17;        ///< processed by the IPsec or MACsec engine
inline constexpr std::uint64_t kLoopback = std::uint64_t{1} << 18;        ///< came from another pool of this port
inline constexpr std::uint64_t kHeaderOverflow = std::uint64_t{1} << 23;  ///< of a split header: it was not split
inline constexpr unsigned kSecurityErrorShift = 27;
inline constexpr std::uint64_t kSecurityErrorMask = 0x3;
inline constexpr std::uint64_t kL4Error = std::uint64_t{1} << 29;
inline constexpr std::uint64_t kIpError = std::uint64_t{1} << 30;
inline constexpr std::uint64_t kDataError = std::uint64_t{1}
                                            << 31;  ///< a bad packet that RCTL.SBP let through, or a parity error
inline constexpr unsigned kLengthShift = 32;
inline constexpr std::uint64_t kLengthMask = 0xFFFF;
inline constexpr unsigned kVlanShift = 48;

[[nodiscard]] constexpr bool done(std::uint64_t hi) noexcept { return (hi & kDone) != 0; }
/// Bytes in this descriptor's buffer. Do not trust it before it has been compared with the buffer's size.
[[nodiscard]] constexpr std::uint32_t length(std::uint64_t hi) noexcept {
  return static_cast<std::uint32_t>((hi >> kLengthShift) & kLengthMask);
}
[[nodiscard]] constexpr std::uint16_t vlan(std::uint64_t hi) noexcept {
  return static_cast<std::uint16_t>(hi >> kVlanShift);
}
[[nodiscard]] constexpr std::uint32_t hash(std::uint64_t lo) noexcept {
  return static_cast<std::uint32_t>(lo >> kHashShift);
}
[[nodiscard]] constexpr std::uint32_t packet_type(std::uint64_t lo) noexcept {
  return static_cast<std::uint32_t>((lo >> kPacketTypeShift) & kPacketTypeMask);
}
[[nodiscard]] constexpr std::uint32_t header_length(std::uint64_t lo) noexcept {
  return static_cast<std::uint32_t>((lo >> kHeaderLengthShift) & kHeaderLengthMask);
}

/// The header fields that RSS hashed.
enum class RssType : std::uint8_t {
  none = 0,
  tcp_ipv4 = 1,
  ipv4 = 2,
  tcp_ipv6 = 3,
  ipv6_ex = 4,
  ipv6 = 5,
  tcp_ipv6_ex = 6,
  udp_ipv4 = 7,
  udp_ipv6 = 8,
  udp_ipv6_ex = 9,
};
[[nodiscard]] constexpr RssType rss_type(std::uint64_t lo) noexcept { return static_cast<RssType>(lo & kRssTypeMask); }

// Bits of the packet type. With kTypeEtherFilter, the low three bits are the index of the matching filter.
inline constexpr std::uint32_t kTypeIpv4 = 1u << 0;
inline constexpr std::uint32_t kTypeIpv4Options = 1u << 1;
inline constexpr std::uint32_t kTypeIpv6 = 1u << 2;
inline constexpr std::uint32_t kTypeIpv6Extensions = 1u << 3;
inline constexpr std::uint32_t kTypeTcp = 1u << 4;
inline constexpr std::uint32_t kTypeUdp = 1u << 5;
inline constexpr std::uint32_t kTypeSctp = 1u << 6;
inline constexpr std::uint32_t kTypeNfs = 1u << 7;
inline constexpr std::uint32_t kTypeEsp = 1u << 8;
inline constexpr std::uint32_t kTypeAh = 1u << 9;
inline constexpr std::uint32_t kTypeMacsec = 1u << 10;
inline constexpr std::uint32_t kTypeEtherFilter = 1u << 11;
inline constexpr std::uint32_t kEtherFilterMask = 0x7;

/// The contents of a write-back, for a model and for tests.
struct WriteBack {
  RssType rss = RssType::none;
  std::uint32_t packet_type = 0;
  std::uint32_t hash = 0;
  std::uint64_t status = kDone | kEndOfPacket;  ///< status and error bits
  std::uint16_t length = 0;
  std::uint16_t vlan = 0;
  std::uint16_t header_length = 0;  ///< bytes of the headers; valid with `split_header`
  bool split_header = false;        ///< the card has found the end of the headers
};
[[nodiscard]] constexpr Descriptor written_back(const WriteBack& what) noexcept {
  return {static_cast<std::uint64_t>(what.rss) | (what.packet_type & kPacketTypeMask) << kPacketTypeShift |
              (what.header_length & kHeaderLengthMask) << kHeaderLengthShift | (what.split_header ? kSplitHeader : 0) |
              static_cast<std::uint64_t>(what.hash) << kHashShift,
          (what.status & 0xFFFFFFFF) | static_cast<std::uint64_t>(what.length) << kLengthShift |
              static_cast<std::uint64_t>(what.vlan) << kVlanShift};
}

}  // namespace rx

/// Transmit descriptors: data descriptors, context descriptors, and the DD bit of a write-back.
namespace tx {

// High word of a data descriptor. The low word is the buffer's address.
inline constexpr unsigned kDataLengthShift = 0;
inline constexpr std::uint64_t kDataLengthMask = 0xFFFF;
inline constexpr std::uint64_t kTimeStamp = std::uint64_t{1} << 19;
inline constexpr unsigned kTypeShift = 20;
inline constexpr std::uint64_t kTypeMask = 0xF;
inline constexpr std::uint64_t kTypeContext = std::uint64_t{2} << kTypeShift;
inline constexpr std::uint64_t kTypeData = std::uint64_t{3} << kTypeShift;
inline constexpr std::uint64_t kEndOfPacket = std::uint64_t{1} << 24;
inline constexpr std::uint64_t kInsertCrc = std::uint64_t{1} << 25;
inline constexpr std::uint64_t kReportStatus = std::uint64_t{1} << 27;
inline constexpr std::uint64_t kAdvanced = std::uint64_t{1} << 29;
inline constexpr std::uint64_t kInsertVlan = std::uint64_t{1} << 30;
inline constexpr std::uint64_t kSegment = std::uint64_t{1} << 31;
inline constexpr std::uint64_t kDone = std::uint64_t{1} << 32;  ///< in a write-back
inline constexpr unsigned kContextShift = 36;
inline constexpr std::uint64_t kContextMask = 0x7;
inline constexpr std::uint64_t kInsertIpChecksum = std::uint64_t{1} << 40;
inline constexpr std::uint64_t kInsertL4Checksum = std::uint64_t{1} << 41;
inline constexpr unsigned kPayloadShift = 46;
inline constexpr std::uint64_t kPayloadMask = 0x3FFFF;  ///< 18 bits

/// The constant bits of a data descriptor. Buffer length, packet length and flags are added.
inline constexpr std::uint64_t kData = kTypeData | kAdvanced | kInsertCrc;

/// A data descriptor for one buffer of a packet. `bytes`: in this buffer, 1 to kTxSegmentMax.
/// `packet_bytes`: of the whole packet, or with kSegment of its payload, in 18 bits; the first descriptor needs it.
/// `flags`: kEndOfPacket on the last descriptor, and others from above.
[[nodiscard]] constexpr Descriptor data(std::uint64_t address, std::uint32_t bytes, std::uint32_t packet_bytes,
                                        std::uint64_t flags) noexcept {
  return {address, kData | flags | (bytes & kDataLengthMask) | (packet_bytes & kPayloadMask) << kPayloadShift};
}
[[nodiscard]] constexpr bool done(std::uint64_t hi) noexcept { return (hi & kDone) != 0; }
[[nodiscard]] constexpr std::uint64_t type(std::uint64_t hi) noexcept { return hi & (kTypeMask << kTypeShift); }
[[nodiscard]] constexpr std::uint32_t data_length(std::uint64_t hi) noexcept {
  return static_cast<std::uint32_t>(hi & kDataLengthMask);
}
[[nodiscard]] constexpr std::uint32_t payload_length(std::uint64_t hi) noexcept {
  return static_cast<std::uint32_t>(hi >> kPayloadShift);
}

// Context descriptor, low word.
inline constexpr unsigned kIpLengthShift = 0;
inline constexpr std::uint64_t kIpLengthMask = 0x1FF;
inline constexpr unsigned kMacLengthShift = 9;
inline constexpr std::uint64_t kMacLengthMask = 0x7F;
inline constexpr unsigned kVlanShift = 16;
// High word.
inline constexpr std::uint64_t kContextIpv4 = std::uint64_t{1} << 10;
inline constexpr std::uint64_t kContextUdp = std::uint64_t{0} << 11;
inline constexpr std::uint64_t kContextTcp = std::uint64_t{1} << 11;
inline constexpr std::uint64_t kContextSctp = std::uint64_t{2} << 11;
inline constexpr unsigned kL4LengthShift = 40;
inline constexpr std::uint64_t kL4LengthMask = 0xFF;
inline constexpr unsigned kMssShift = 48;

/// The header lengths and types that the card needs to insert checksums or a VLAN tag, or to segment a packet.
struct Context {
  std::uint16_t vlan = 0;
  std::uint8_t mac_length = 14;  ///< bytes before the IP header, up to 127
  std::uint16_t ip_length = 0;   ///< bytes, up to 511
  std::uint8_t l4_length = 0;    ///< bytes; only for segmentation
  std::uint16_t mss = 0;         ///< bytes; only for segmentation
  std::uint64_t kind = 0;        ///< kContextIpv4 and one of kContextUdp, kContextTcp, kContextSctp
  std::uint32_t index = 0;       ///< 0 or 1: each queue of the 82576 holds two contexts
};
[[nodiscard]] constexpr Descriptor context(const Context& what) noexcept {
  return {(what.ip_length & kIpLengthMask) << kIpLengthShift | (what.mac_length & kMacLengthMask) << kMacLengthShift |
              static_cast<std::uint64_t>(what.vlan) << kVlanShift,
          kTypeContext | kAdvanced | what.kind | (what.index & kContextMask) << kContextShift |
              static_cast<std::uint64_t>(what.l4_length) << kL4LengthShift |
              static_cast<std::uint64_t>(what.mss) << kMssShift};
}
inline constexpr std::uint64_t kL4TypeMask = std::uint64_t{3} << 11;  ///< kContextUdp, kContextTcp or kContextSctp
/// The contents of a context descriptor, for a model and for tests.
[[nodiscard]] constexpr Context context_of(const Descriptor& descriptor) noexcept {
  return {.vlan = static_cast<std::uint16_t>(descriptor.lo >> kVlanShift),
          .mac_length = static_cast<std::uint8_t>(descriptor.lo >> kMacLengthShift & kMacLengthMask),
          .ip_length = static_cast<std::uint16_t>(descriptor.lo >> kIpLengthShift & kIpLengthMask),
          .l4_length = static_cast<std::uint8_t>(descriptor.hi >> kL4LengthShift & kL4LengthMask),
          .mss = static_cast<std::uint16_t>(descriptor.hi >> kMssShift),
          .kind = descriptor.hi & (kContextIpv4 | kL4TypeMask),
          .index = static_cast<std::uint32_t>(descriptor.hi >> kContextShift & kContextMask)};
}

}  // namespace tx

}  // namespace pollux::hw::intel
