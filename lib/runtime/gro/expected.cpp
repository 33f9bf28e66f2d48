// SPDX-License-Identifier: BSD-3-Clause
#include "runtime/gro/flow.hpp"

#include <algorithm>

#include "pollux/net/packet/transport.hpp"
#include "pollux/net/rx_metadata.hpp"

namespace pollux::gro {
namespace {

using packet::TcpHeader;

constexpr std::uint64_t kHashMask = 0xFFFF'FFFF'0000'0000;

using Mask = std::array<std::uint8_t, Expected::kBytes>;

/// Ones for what segments of a flow have in common.
constexpr Mask mask_of(unsigned tags, bool is_ipv6, bool is_udp) {
  Mask mask{};
  std::fill(mask.begin(), mask.end(), std::uint8_t{0xFF});
  const auto ignore = [&mask](unsigned at, unsigned bytes) { std::fill_n(&mask[at], bytes, std::uint8_t{0}); };
  const unsigned l3 = kEthernet + tags * kTag;
  const unsigned l4 = l3 + (is_ipv6 ? kIpv6 : kIpv4);
  if (!is_ipv6) {
    ignore(l3 + 4, 2);   // identification
    ignore(l3 + 10, 2);  // checksum
  }
  if (is_udp) {
    ignore(l4 + packet::UdpHeader::kChecksumAt, 2);
  } else {
    ignore(l4 + 4, 4);  // sequence number
    ignore(l4 + TcpHeader::kChecksumAt, 2);
  }
  return mask;
}

constexpr std::size_t kMaxTags = 2;
constexpr auto kMasks = [] {
  std::array<Mask, (kMaxTags + 1) * 4> masks{};
  for (unsigned i = 0; i < masks.size(); ++i) masks[i] = mask_of(i / 4, (i & 1) != 0, (i & 2) != 0);
  return masks;
}();

/// Ones, then zeros: from `kBytes` - N on it is the mask of N bytes.
constexpr auto kFront = [] {
  std::array<std::uint8_t, std::size_t{2} * Expected::kBytes> mask{};
  std::fill_n(mask.begin(), Expected::kBytes, std::uint8_t{0xFF});
  return mask;
}();

bool is_known_good(const Segment& segment, const RxMetadata& metadata) noexcept {
  return metadata.l4_checksum() == ChecksumStatus::good &&
         (segment.is_ipv6 || metadata.ip_checksum() == ChecksumStatus::good);
}

bool stays_alone(const Segment& segment) noexcept {
  if (segment.is_ipv6 && segment.bytes[segment.l3] >> 4 != 6) return true;
  return !segment.is_udp && (segment.bytes[segment.l4 + 13] & TcpHeader::cwr) != 0;
}

/// The field of the IP header that may count, and how: the IPv4 identification. For IPv6 it is the length, which stays.
struct Counter {
  std::uint32_t at;     // bytes from the start of the frame
  std::uint16_t value;  // expected next
  std::uint16_t step;
};

Counter counter_of(const Flow& flow, const std::uint8_t* next) noexcept {
  const std::uint32_t at = flow.l3 + 4U;
  const std::uint16_t first = swap16(word16(flow.bytes + at));
  // The second segment shows whether the identification counts.
  const bool is_fixed = flow.is_ipv6 || (flow.count == 1 ? swap16(word16(next + at)) == first : flow.has_fixed_id);
  return {at, static_cast<std::uint16_t>(is_fixed ? first : first + flow.count), static_cast<std::uint16_t>(!is_fixed)};
}

/// What removes the headers of a direct mbuf and makes it part of a chain, as a difference of MbufAccess::word.
constexpr std::uint64_t part_of_chain(std::uint16_t headers) noexcept {
  return (std::uint64_t{headers} << MbufAccess::kOffsetShift) +
         (std::uint64_t{MbufAccess::kMultiSegment} << MbufAccess::kSpecialShift) - headers;
}

}  // namespace

Expected::Expected(const Segment& first) noexcept {
  const Mbuf& mbuf = *first.mbuf;
  const std::uint64_t word = MbufAccess::word(mbuf) & kWordMask;
  const RxMetadata metadata(mbuf);
  const bool is_direct = (word >> MbufAccess::kSpecialShift & 0xFF) == 0;
  if (!is_direct || mbuf.length() < kBytes || first.payload > kBytes || !is_known_good(first, metadata) ||
      first.in_tunnel() || first.l4 - first.l3 != (first.is_ipv6 ? kIpv6 : kIpv4) || stays_alone(first)) {
    return;
  }
  word_ = word;
  // Without a hash, its place may have something that differs in each frame.
  rx_low_mask_ = metadata.rss_hash() ? ~std::uint64_t{0} : ~kHashMask;
  rx_low_ = mbuf.rx_word(0) & rx_low_mask_;
  rx_high_ = mbuf.rx_word(1);
  set_headers(first);
}

void Expected::set_headers(const Segment& first) noexcept {
  const unsigned tags = (first.l3 - unsigned{kEthernet}) / kTag;
  const Mask& common = kMasks[tags * 4 + (first.is_udp ? 2U : 0U) + (first.is_ipv6 ? 1U : 0U)];
  const std::uint8_t* const front = kFront.data() + kBytes - first.payload;
  for (std::size_t i = 0; i < kVectors; ++i) {
    const std::size_t at = i * sizeof(Vector);
    std::array<Vector, 3> words;
    std::memcpy(&words[0], &common[at], sizeof(Vector));
    std::memcpy(&words[1], front + at, sizeof(Vector));
    std::memcpy(&words[2], first.bytes + at, sizeof(Vector));
    mask_[i] = words[0] & words[1];
    headers_[i] = words[2] & mask_[i];
  }
}

// The fast path: the next segments of a flow in order, which differ from the first in what must differ only.

std::span<Mbuf* const> append_run(Flow& flow, std::span<Mbuf* const> frames) noexcept {
  if (frames.empty() || !flow.expected.matches_mbuf(*frames.front())) return frames;
  Counter counter = counter_of(flow, frames.front()->data());
  const std::uint32_t size = flow.segment_size;
  const std::uint32_t longest = kMaxFrame - size;  // to which one more segment may be added
  const std::uint64_t change = part_of_chain(flow.payload);
  // UDP has ports instead of a sequence number, which stay, and needs a checksum.
  const std::uint32_t sequence_at = flow.is_udp ? flow.l4 : flow.l4 + 4U;
  const std::uint32_t sequence_step = flow.is_udp ? 0 : size;
  const std::uint32_t not_zero_at = flow.is_udp ? flow.l4 + std::uint32_t{packet::UdpHeader::kChecksumAt} : flow.l3;
  std::uint32_t sequence = flow.is_udp ? swap32(word32(flow.bytes + sequence_at)) : flow.next_sequence;
  std::uint32_t length = flow.length;
  Mbuf* tail = flow.tail;
  // The last datagram of a full frame ends the flow, so `append` takes it.
  const std::uint32_t room = kMaxMbufs - flow.mbufs;
  const std::size_t limit =
      std::min<std::size_t>(frames.size(), flow.is_udp ? std::min(room, kMaxDatagrams - 1 - flow.count) : room);
  std::size_t done = 0;
  for (; done < limit && length <= longest; ++done) {
    Mbuf& mbuf = *frames[done];
    if (!flow.expected.matches_mbuf(mbuf)) break;
    const std::uint8_t* const bytes = mbuf.data();
    if (!flow.expected.matches_headers(bytes) || swap32(word32(bytes + sequence_at)) != sequence ||
        swap16(word16(bytes + counter.at)) != counter.value || word16(bytes + not_zero_at) == 0) {
      break;
    }
    MbufAccess::set_word(mbuf, MbufAccess::word(mbuf) + change);
    MbufAccess::next(*tail) = &mbuf;
    tail = &mbuf;
    sequence += sequence_step;
    length += size;
    counter.value = static_cast<std::uint16_t>(counter.value + counter.step);
  }
  if (done == 0) return frames;
  MbufAccess::next(*tail) = nullptr;
  MbufAccess::special(*flow.tail) |= MbufAccess::kMultiSegment;
  flow.has_fixed_id = counter.step == 0;
  flow.tail = tail;
  if (!flow.is_udp) flow.next_sequence = sequence;
  flow.length = length;
  flow.count = static_cast<std::uint16_t>(flow.count + done);
  flow.mbufs = static_cast<std::uint16_t>(flow.mbufs + done);
  return frames.subspan(done);
}

}  // namespace pollux::gro
