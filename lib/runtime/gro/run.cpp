// SPDX-License-Identifier: BSD-3-Clause
// The fast path: the next segments of a flow in order, which differ from the first in what must differ only.
#include <algorithm>

#include "pollux/net/packet/transport.hpp"
#include "runtime/gro/flow.hpp"
#include "runtime/gro/header_words.hpp"

namespace pollux::gro {
namespace {

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
