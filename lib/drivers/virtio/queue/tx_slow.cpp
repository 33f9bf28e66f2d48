// SPDX-License-Identifier: BSD-3-Clause
// The transmit slow path: chains, clones, external buffers, mbufs of other pools or without headroom, and frames with
// an offload request. The header and the frame's own headers that change are in memory of the ring, so the bytes of the
// frame stay as they are.
#include <array>
#include <cstring>
#include <span>

#include "base/compiler.hpp"
#include "drivers/paravirtual/tx_request.hpp"
#include "drivers/virtio/queue/tx_queue.hpp"
#include "net/checksums.hpp"
#include "net/frame_size.hpp"
#include "net/superframe.hpp"

namespace pollux::drivers::virtio {
namespace {

using hw::virtio::feature::kCsum;
using hw::virtio::feature::kIndirectDesc;
using paravirtual::copy_ipv4_header;
using paravirtual::DeviceChecksum;

/// The header with copied bytes first, then the segments.
using Parts = paravirtual::Pieces<kMaxTxSegments + 1, ~std::uint32_t{0}>;

DmaArea header_area(const TxVirtqueue& queue, std::uint32_t slot) noexcept {
  const std::size_t at = std::size_t{slot} * kTxHeaderBytes;
  return {queue.memory.extra.address + at, queue.memory.extra.iova + at};
}
DmaArea table(const TxVirtqueue& queue, std::uint32_t slot) noexcept {
  const std::size_t at = std::size_t{queue.mask + 1} * kTxHeaderBytes + std::size_t{slot} * kTxTableBytes;
  return {queue.memory.extra.address + at, queue.memory.extra.iova + at};
}

// The device computes a TCP or UDP checksum up to the end of the frame. That of an IPv4 header is computed here.
bool leave_to_device(const TxVirtqueue& queue, const Mbuf& frame, const TxOffload& request,
                     std::span<std::uint8_t> copy, VirtioNetHeader& header, std::uint32_t& copied) noexcept {
  const DeviceChecksum checksum(request);
  const std::uint32_t start = request.l4_offset();
  if ((queue.features & kCsum) == 0 || checksum.protocol == 0 || start > kMaxHeader ||
      !fills_frame(FrameBytes::to_read(frame), request, checksum.protocol) ||
      !copy_ipv4_header(frame, request, copy, copied)) {
    return false;
  }
  header = {.flags = VirtioNetHeader::kNeedsChecksum,
            .checksum_start = static_cast<std::uint16_t>(start),
            .checksum_offset = checksum.field};
  return true;
}

/// Decides what the device does for a frame's request, and does the rest. `copy` is where headers that change are
/// copied to; `copied` becomes their length. Returns the reason to drop the frame, or nullptr.
TxDrop prepare(TxVirtqueue& queue, Mbuf& frame, std::span<std::uint8_t> copy, VirtioNetHeader& header,
               std::uint32_t& copied) noexcept {
  const TxOffload request = frame.tx_offload();
  if ((request.flags & TxOffload::kSegmentation) != 0) {
    const std::uint32_t headers = request.l4_offset() + request.l4;
    if (headers > copy.size()) return &TxDrops::unfit_headers;
    if ((request.flags & TxOffload::tcp_segmentation) != 0 && segments_of(frame) > kMaxTcpSegments)
      return &TxDrops::too_many_segments;
    copied = static_cast<std::uint32_t>(frame.copy_out(0, copy.first(headers)));
    header = superframe_header(copy.first(headers), request, frame.packet_length());
    return nullptr;
  }
  if (!frame.has_partial_checksum()) return nullptr;
  if (leave_to_device(queue, frame, request, copy, header, copied)) return nullptr;
  return paravirtual::compute_checksums(frame);
}

void write(TxVirtqueue& queue, const SplitRing& ring, const Parts& parts) noexcept {
  const std::uint32_t slot = queue.next & queue.mask;
  for (std::uint32_t i = 0; i < parts.count; ++i) {
    const bool last = i + 1 == parts.count;
    const auto next = static_cast<std::uint16_t>((slot + i + 1) & queue.mask);
    ring.descriptors[(slot + i) & queue.mask] = {.address = parts.list[i].iova,
                                                 .length = parts.list[i].length,
                                                 .flags = last ? std::uint16_t{0} : hw::virtio::kDescNext,
                                                 .next = last ? std::uint16_t{0} : next};
  }
  ring.available[queue.entries & queue.mask] = static_cast<std::uint16_t>(slot);
  queue.add_entries(1);
}
// The first descriptor is the last to be written: with it the device sees the frame.
void write(TxVirtqueue& queue, const PackedRing& ring, const Parts& parts) noexcept {
  const std::uint32_t id = queue.next & queue.mask;
  for (std::uint32_t i = parts.count; i-- != 0;) {
    const std::uint16_t flags = i + 1 == parts.count ? std::uint16_t{0} : hw::virtio::kDescNext;
    ring.put(queue.next + i, parts.list[i].iova, parts.list[i].length, id, flags);
  }
  queue.add_entries(parts.count);
}

void write_table(TxVirtqueue& queue, const SplitRing& ring, const Parts& parts) noexcept {
  const std::uint32_t slot = queue.next & queue.mask;
  const DmaArea area = table(queue, slot);
  auto* const entries = area.at<hw::virtio::SplitDescriptor>();
  for (std::uint32_t i = 0; i < parts.count; ++i) {
    const bool last = i + 1 == parts.count;
    entries[i] = {.address = parts.list[i].iova,
                  .length = parts.list[i].length,
                  .flags = last ? std::uint16_t{0} : hw::virtio::kDescNext,
                  .next = last ? std::uint16_t{0} : static_cast<std::uint16_t>(i + 1)};
  }
  ring.descriptors[slot] = {.address = area.iova,
                            .length = static_cast<std::uint32_t>(parts.count * sizeof *entries),
                            .flags = hw::virtio::kDescIndirect,
                            .next = 0};
  ring.available[queue.entries & queue.mask] = static_cast<std::uint16_t>(slot);
  queue.add_entries(1);
}
void write_table(TxVirtqueue& queue, const PackedRing& ring, const Parts& parts) noexcept {
  const std::uint32_t slot = queue.next & queue.mask;
  const DmaArea area = table(queue, slot);
  auto* const entries = area.at<hw::virtio::PackedDescriptor>();
  for (std::uint32_t i = 0; i < parts.count; ++i) {
    entries[i] = {.address = parts.list[i].iova, .length = parts.list[i].length, .id = 0, .flags = 0};
  }
  ring.put(queue.next, area.iova, static_cast<std::uint32_t>(parts.count * sizeof *entries), slot,
           hw::virtio::kDescIndirect);
  queue.add_entries(1);
}

/// Frees the frame of slot `id`, which the device has used. Returns its descriptors.
std::uint32_t complete(TxVirtqueue& queue, std::uint32_t id, MempoolCacheCore* cache) noexcept {
  const std::uintptr_t slot = queue.slots[id];
  const std::uint16_t span = (slot & TxVirtqueue::kSpecial) != 0 ? queue.spans[id] : std::uint16_t{1};
  paravirtual::free_sent(*reinterpret_cast<Mbuf*>(slot & ~TxVirtqueue::kTags), cache);
  queue.slots[id] = TxVirtqueue::kDone;
  queue.spans[id] = span;
  return span;
}

}  // namespace

template <class Ring>
POLLUX_NOINLINE std::uint32_t tx_reclaim_slow(TxVirtqueue& queue, std::uint32_t id, MempoolCacheCore* cache) noexcept {
  constexpr bool kPacked = std::is_same_v<Ring, PackedRing>;
  const std::uint32_t offset = (id - queue.clean) & queue.mask;
  if (id > queue.mask || offset >= queue.in_flight()) {
    queue.end("a buffer that it did not have");
    return 0;
  }
  const std::uintptr_t slot = queue.slots[id];
  if (slot == 0 || slot == TxVirtqueue::kDone) {
    queue.end("a buffer twice, or a part of one");
    return 0;
  }
  const bool in_order = queue.ring<Ring>().options.in_order;
  std::uint32_t entries = 0;
  std::uint32_t descriptors = 0;
  // With IN_ORDER the entry stands for all buffers before it, too. Slots in front of it that are no frame's first
  // cannot be met.
  for (std::uint32_t oldest = in_order ? queue.clean & queue.mask : id;;) {
    const std::uint32_t span = complete(queue, oldest, cache);
    ++entries;
    descriptors += span;
    if (oldest == id) break;
    oldest = (oldest + span) & queue.mask;
  }
  queue.pass_used(kPacked ? descriptors : entries);
  queue.advance();
  return entries;
}

template <class Ring>
POLLUX_NOINLINE TxOutcome tx_send_slow(TxVirtqueue& queue, Mbuf* frame) noexcept {
  if (queue.reject(frame)) return TxOutcome::dropped;
  const bool indirect = (queue.features & kIndirectDesc) != 0;
  const std::uint32_t most = frame->segments() + 1;
  TxDrop why = nullptr;
  // 2.7.5.3.1: a table is no longer than the queue, either.
  if (frame->segments() > kMaxTxSegments || most > queue.mask + 1) why = &TxDrops::too_many_segments;
  if (why == nullptr && !paravirtual::is_reachable(*frame)) why = &TxDrops::unreachable;
  if (why == nullptr && (indirect ? 1 : most) > queue.free_slots()) return TxOutcome::no_room;
  const std::uint32_t slot = queue.next & queue.mask;
  const DmaArea area = header_area(queue, slot);
  VirtioNetHeader header;
  std::uint32_t copied = 0;
  if (why == nullptr) {
    const std::span copy(area.at<std::uint8_t>(queue.header_bytes), tx_copy_bytes(queue.features));
    why = prepare(queue, *frame, copy, header, copied);
  }
  if (why != nullptr) {
    queue.drop(*frame, why);
    return TxOutcome::dropped;
  }
  std::memset(area.address, 0, queue.header_bytes);
  std::memcpy(area.address, &header, sizeof header);
  Parts parts;
  parts.add(area.iova, queue.header_bytes + copied);
  parts.add(*frame, copied);  // as many as there is room for
  const Ring& ring = queue.ring<Ring>();
  const std::uint32_t span = indirect ? 1 : parts.count;
  for (std::uint32_t i = 1; i < span; ++i) queue.slots[(slot + i) & queue.mask] = 0;
  queue.slots[slot] = reinterpret_cast<std::uintptr_t>(frame) | TxVirtqueue::kSpecial;
  queue.spans[slot] = static_cast<std::uint16_t>(span);
  if (indirect) {
    write_table(queue, ring, parts);
  } else {
    write(queue, ring, parts);
  }
  queue.next += span;
  queue.count_sent(frame->packet_length());
  return TxOutcome::queued;
}

template std::uint32_t tx_reclaim_slow<SplitRing>(TxVirtqueue&, std::uint32_t, MempoolCacheCore*) noexcept;
template std::uint32_t tx_reclaim_slow<PackedRing>(TxVirtqueue&, std::uint32_t, MempoolCacheCore*) noexcept;
template TxOutcome tx_send_slow<SplitRing>(TxVirtqueue&, Mbuf*) noexcept;
template TxOutcome tx_send_slow<PackedRing>(TxVirtqueue&, Mbuf*) noexcept;

}  // namespace pollux::drivers::virtio
