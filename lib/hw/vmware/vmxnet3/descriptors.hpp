// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

/// Descriptors and completions of vmxnet3, each of two little-endian words. Linux, drivers/net/vmxnet3, vmxnet3_defs.h.
///
/// A generation bit says who has an entry. In its first lap of a ring its owner-to-be writes 1, in the next 0, and so
/// on. The device never writes descriptors; each of its completions says the index of one.
namespace pollux::hw::vmxnet3 {

struct Descriptor {
  std::uint64_t address;
  std::uint64_t word;
};
struct Completion {
  std::uint64_t low;
  std::uint64_t high;
};
static_assert(sizeof(Descriptor) == 16 && sizeof(Completion) == 16);

inline constexpr std::uint32_t kMinRing = 32;  ///< and a multiple of it
inline constexpr std::uint32_t kMaxRing = 4096;

/// Bits of a transmit descriptor's word. A frame's first descriptor has its request, its last one `kEndOfPacket`.
namespace tx {
inline constexpr std::uint32_t kMaxLength = 16383;  // 14 bits; 0 would be 16,384
inline constexpr std::uint64_t kGeneration = std::uint64_t{1} << 14;
inline constexpr unsigned kOffsetShift = 18;  // 14 bits: segment size, or bytes before the checksum field
inline constexpr std::uint32_t kMaxOffset = 16383;
inline constexpr unsigned kHeaderShift = 32;  // 10 bits: bytes of headers, or before the checksummed part
inline constexpr std::uint32_t kMaxHeader = 1023;
inline constexpr std::uint64_t kChecksum = std::uint64_t{2} << 42;
inline constexpr std::uint64_t kSegment = std::uint64_t{3} << 42;
inline constexpr std::uint64_t kEndOfPacket = std::uint64_t{1} << 44;
inline constexpr std::uint64_t kReport = std::uint64_t{1} << 45;  // a completion is wanted
inline constexpr std::uint64_t kInsertTag = std::uint64_t{1} << 47;
inline constexpr unsigned kTagShift = 48;
/// Descriptors of a frame, and of one to be segmented.
inline constexpr std::uint32_t kMaxPieces = 16;
inline constexpr std::uint32_t kMaxSegmentPieces = 24;
/// Of a completion: its index is that of the frame's last descriptor.
inline constexpr std::uint64_t kIndexMask = 0xFFF;
}  // namespace tx

namespace rx {
/// Bits of a receive descriptor's word. Frames begin in head buffers, and go on in body buffers.
inline constexpr std::uint32_t kMaxLength = 16383;
inline constexpr std::uint32_t kMinHead = 128;
inline constexpr std::uint64_t kBody = std::uint64_t{1} << 14;
inline constexpr std::uint64_t kGeneration = std::uint64_t{1} << 31;

/// Bits of a completion's low word.
inline constexpr std::uint64_t kIndexMask = 0xFFF;
inline constexpr std::uint64_t kEndOfPacket = std::uint64_t{1} << 14;
inline constexpr std::uint64_t kStartOfPacket = std::uint64_t{1} << 15;
inline constexpr unsigned kRingShift = 16;  // 10 bits: the queue; of its second ring plus the number of queues
inline constexpr std::uint64_t kRingMask = 0x3FF;
inline constexpr std::uint64_t kHashType = std::uint64_t{0xF} << 26;  // 0: no hash
inline constexpr std::uint64_t kNotChecked = std::uint64_t{1} << 30;
inline constexpr unsigned kHashShift = 32;

/// Bits of its high word.
inline constexpr std::uint64_t kLengthMask = 0x3FFF;
inline constexpr std::uint64_t kError = std::uint64_t{1} << 14;
inline constexpr std::uint64_t kStripped = std::uint64_t{1} << 15;
inline constexpr unsigned kTagShift = 16;
inline constexpr std::uint64_t kL4Good = std::uint64_t{1} << 48;
inline constexpr std::uint64_t kUdp = std::uint64_t{1} << 49;
inline constexpr std::uint64_t kTcp = std::uint64_t{1} << 50;
inline constexpr std::uint64_t kIpGood = std::uint64_t{1} << 51;
inline constexpr std::uint64_t kIpv6 = std::uint64_t{1} << 52;
inline constexpr std::uint64_t kIpv4 = std::uint64_t{1} << 53;
inline constexpr std::uint64_t kFragment = std::uint64_t{1} << 54;
}  // namespace rx

/// Of both kinds of completion's high word.
inline constexpr std::uint64_t kCompletionGeneration = std::uint64_t{1} << 63;

}  // namespace pollux::hw::vmxnet3
