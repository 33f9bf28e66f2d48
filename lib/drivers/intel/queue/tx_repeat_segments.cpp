// SPDX-License-Identifier: BSD-3-Clause
// Packets that repeat a request for segmentation. As in tx_repeat.cpp, the slow path has checked the first one, and of
// the others only the length is checked: they are so long that no length in their headers can reach beyond their end. A
// packet of up to kTxSegmentMax bytes needs one slot, a longer one needs two.
#include <algorithm>
#include <array>
#include <cstring>

#include "base/compiler.hpp"
#include "drivers/intel/queue/tx_request.hpp"
#include "drivers/intel/queue/tx_ring.hpp"
#include "hw/intel/descriptors.hpp"
#include "mem/ownership.hpp"

namespace pollux::drivers::intel {

namespace tx = hw::intel::tx;

namespace {

constexpr std::uint32_t kSlotBytes = hw::intel::kTxSegmentMax;
static_assert(kMaxTso <= 2 * kSlotBytes);
constexpr std::uint64_t kLast = tx::kEndOfPacket | tx::kReportStatus;

/// Bytes of the longest IPv4 header, and of the longest TCP header.
constexpr std::uint32_t kMaxHeader = 60;

POLLUX_ALWAYS_INLINE bool same_request(Mbuf& frame, const TxRepeat& repeat) noexcept {
  return request_word<std::uint64_t>(frame, 0) == repeat.what &&
         request_word<std::uint64_t>(frame, 1) == repeat.lengths &&
         request_word<std::uint32_t>(frame, 4) == repeat.segments.sizes;
}

// The descriptor's command for the first kSlotBytes of a packet.
POLLUX_ALWAYS_INLINE std::uint64_t of_first_slot(std::uint64_t command) noexcept {
  return (command | tx::kDataLengthMask) - (tx::kDataLengthMask - kSlotBytes + kLast);
}

/// What `write_packets` did.
struct Written {
  std::uint32_t packets = 0;
  std::uint32_t slots = 0;
};

// Writes the slots of packets that repeat the request, as far as the first of `count` do. There are two slots for each.
// A function of its own, so that the compiler keeps all of the loop in registers.
POLLUX_NOINLINE Written write_packets(const TxRepeat& repeat, Mbuf* const* frames, std::uint32_t count,
                                      hw::intel::Descriptor* descriptor, Mbuf** slot) noexcept {
  Mbuf** const first = slot;
  const auto zero = opaque(std::uint16_t{0});
  std::uint32_t i = 0;
  for (; i < count; ++i) {
    Mbuf* const frame = frames[i];
    if (ownership::kChecked && (frame == nullptr || !ownership::is_allocated(*frame, repeat.context))) break;
    const std::uint32_t excess = static_cast<std::uint32_t>(MbufAccess::word(*frame)) - repeat.shortest;
    if (excess > repeat.max_excess || !same_request(*frame, repeat)) break;
    // [I-TSOLENGTH] [I-TXSUM]
    std::uint8_t* const bytes = frame->data();
    std::memcpy(bytes + repeat.segments.cleared[0], &zero, sizeof zero);
    std::memcpy(bytes + repeat.segments.cleared[1], &zero, sizeof zero);
    MbufAccess::special(*frame) = 0;
    std::uint64_t address = frame->data_iova();
    std::uint64_t command = excess * repeat.per_byte + repeat.command;
    if (static_cast<std::uint16_t>(command) > kSlotBytes) {
      *descriptor++ = {address, of_first_slot(command)};
      *slot++ = nullptr;
      address += kSlotBytes;
      command -= kSlotBytes;
    }
    *descriptor++ = {address, command};
    *slot++ = frame;
  }
  return {i, static_cast<std::uint32_t>(slot - first)};
}

// A group whose last slot is the first one of a packet is reported by the packet's last slot.
POLLUX_ALWAYS_INLINE void note_gaps(TxRing& ring, std::uint32_t first, std::uint32_t end) noexcept {
  for (std::uint32_t slot = first; slot < end; slot = (slot | ring.group_mask) + 1) {
    const std::uint32_t group = slot >> ring.group_shift;
    const std::uint32_t last = slot | ring.group_mask;
    ring.contents[group] |= TxRing::kGaps;
    if (last >= end || ring.slots[last] != nullptr) continue;
    ring.report_slot[group] = (last + 1) & ring.mask;
    watch_oldest(ring);
  }
}

// The packet whose second slot is the ring's first one.
POLLUX_COLD std::uint32_t send_around_end(TxRing& ring, const TxRepeat& repeat, Mbuf* const* frames,
                                          RingIndex& next) noexcept {
  std::array<hw::intel::Descriptor, 2> descriptors;
  std::array<Mbuf*, 2> mbufs{};
  const Written written = write_packets(repeat, frames, 1, descriptors.data(), mbufs.data());
  for (std::uint32_t i = 0; i < written.slots; ++i) put_descriptor(ring, next, descriptors[i], mbufs[i]);
  if (written.slots == 2) note_gaps(ring, ring.mask, ring.mask + 1);
  return written.packets;
}

std::uint32_t send_segments(TxRing& ring, const TxRepeat& repeat, Mbuf* const* frames, std::uint32_t count,
                            RingIndex& next) noexcept {
  const std::uint32_t first = next.slot(ring.mask);
  const std::uint32_t room = free_slots(ring, next) / 2;
  const std::uint32_t to_end = (ring.mask + 1 - first) / 2;
  if (to_end == 0 && room != 0) [[unlikely]]
    return send_around_end(ring, repeat, frames, next);
  const Written written =
      write_packets(repeat, frames, std::min({count, room, to_end}), ring.descriptors + first, ring.slots + first);
  if (written.slots > written.packets) note_gaps(ring, first, first + written.slots);
  next += written.slots;
  return written.packets;
}

}  // namespace

POLLUX_COLD void remember_segments(Mbuf& frame, const TxCommand& command, TxRepeat& repeat) noexcept {
  const TxOffload& request = MbufAccess::tx_offload(frame);
  if (command.shortest < request.l2 + 2 * kMaxHeader) return;
  repeat.segments = {.sizes = request_word<std::uint32_t>(frame, 4), .cleared = cleared_for_segments(frame, request)};
  // The card reports each packet, since a group may end inside one.
  repeat.command += tx::kReportStatus - (std::uint64_t{headers_of(request)} << tx::kPayloadShift);
  repeat.send = &send_segments;
}

}  // namespace pollux::drivers::intel
