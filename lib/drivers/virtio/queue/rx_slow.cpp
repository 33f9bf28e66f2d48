// SPDX-License-Identifier: BSD-3-Clause
// The receive slow path: frames in several buffers, frames with a request, an exhausted pool, software filters, hashes,
// and devices that use buffers out of order, in batches, or not as they should.
#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <type_traits>

#include "base/compiler.hpp"
#include "drivers/virtio/queue/rx_queue.hpp"
#include "hw/virtio/net.hpp"
#include "net/built_frame.hpp"
#include "net/frame_size.hpp"
#include "net/superframe.hpp"
#include "net/virtio_net_header.hpp"
#include "pollux/net/checksum_offload.hpp"
#include "pollux/net/rx_metadata.hpp"

namespace pollux::drivers::virtio {
namespace {

PacketType type_of_hash(std::uint16_t report) noexcept {
  constexpr std::array<std::uint32_t, hw::virtio::kMaxHashReport + 1> kTypes{
      0,
      PacketType::ipv4,
      PacketType::ipv4 | PacketType::tcp,
      PacketType::ipv4 | PacketType::udp,
      PacketType::ipv6,
      PacketType::ipv6 | PacketType::tcp,
      PacketType::ipv6 | PacketType::udp,
      PacketType::ipv6 | PacketType::ipv6_extensions,
      PacketType::ipv6 | PacketType::ipv6_extensions | PacketType::tcp,
      PacketType::ipv6 | PacketType::ipv6_extensions | PacketType::udp};
  return {report < kTypes.size() ? kTypes[report] : 0U};
}

/// Whether a device may leave a frame of this kind unsegmented: 5.1.6.4.1 "Device Requirements: Processing of Incoming
/// Packets". `is_ipv6`: what the frame is.
bool may_be_unsegmented(hw::virtio::Features features, std::uint8_t segmentation, bool is_ipv6) noexcept {
  using namespace hw::virtio::feature;
  const auto has = [=](hw::virtio::Features feature) { return (features & feature) != 0; };
  switch (segmentation) {
    case VirtioNetHeader::kTcpOverIpv4: return has(kGuestTso4) && !is_ipv6;
    case VirtioNetHeader::kTcpOverIpv6: return has(kGuestTso6) && is_ipv6;
    case VirtioNetHeader::kUdp: return has(is_ipv6 ? kGuestUso6 : kGuestUso4);
    case VirtioNetHeader::kTcpOverIpv4 | VirtioNetHeader::kWithCwr:
    case VirtioNetHeader::kTcpOverIpv6 | VirtioNetHeader::kWithCwr:
      return has(kGuestEcn) &&
             may_be_unsegmented(features, segmentation & static_cast<std::uint8_t>(~VirtioNetHeader::kWithCwr),
                                is_ipv6);
    default: return false;
  }
}

/// A batch of buffers, of which only the last has an entry: the others have been filled (IN_ORDER).
bool next_of_batch(RxVirtqueue& queue, std::uint32_t id, UsedBuffer& used) noexcept {
  used = {id, queue.fast_path.room};
  if (id != queue.batch_end->id) return true;
  used = *queue.batch_end;
  queue.batch_end.reset();
  queue.fast = !queue.hashes;
  return true;
}

/// The device has used another buffer than the one that was posted next.
template <class Ring>
bool out_of_order(RxVirtqueue& queue, const Ring& ring, UsedBuffer& used) noexcept {
  const std::uint32_t slot = queue.next & queue.mask;
  const std::uint32_t its_slot = queue.slot_of[used.id];
  const std::uint32_t its_position = queue.next + ((its_slot - slot) & queue.mask);
  // In a packed ring the device sees each entry as soon as it is posted.
  if (std::is_same_v<Ring, SplitRing> && its_position - queue.next >= queue.published - queue.next)
    return queue.end("a buffer twice");
  queue.fast = false;
  if (ring.options.in_order) {
    queue.batch_end = used;
    return next_of_batch(queue, queue.posted[slot], used);
  }
  const std::uint32_t expected = queue.posted[slot];
  queue.posted[its_slot] = expected;
  queue.slot_of[expected] = its_slot;
  queue.posted[slot] = used.id;
  queue.slot_of[used.id] = slot;
  return true;
}

/// Reads the used entry at the queue's position. False: there is none, or the device lies.
template <class Ring>
bool read_entry(RxVirtqueue& queue, UsedBuffer& used) noexcept {
  if (queue.fault() != nullptr) return false;
  const Ring& ring = queue.ring<Ring>();
  const std::uint32_t slot = queue.next & queue.mask;
  if (queue.batch_end) return next_of_batch(queue, queue.posted[slot], used);
  const std::uint32_t ready = ring.ready(queue.next);
  if (ready == 0) return false;
  if (ready > queue.mask + 1) return queue.end("more buffers than it had");
  used = ring.at(queue.next);
  if (used.id > queue.mask) return queue.end("a buffer that does not exist");
  return used.id == queue.posted[slot] || out_of_order(queue, ring, used);
}

/// Takes the buffer of the entry at the queue's position, which is posted again with `fresh`, and moves on.
template <class Ring>
Mbuf& exchange(RxVirtqueue& queue, std::uint32_t id, Mbuf& fresh) noexcept {
  Mbuf& received = *queue.slots[id];
  queue.slots[id] = &fresh;
  post(queue.ring<Ring>(), queue.next + queue.mask + 1, id, MbufAccess::iova(fresh) + queue.fast_path.iova_at,
       queue.fast_path.room);
  ++queue.next;
  return received;
}

/// Adds the buffer at the queue's position to a frame, from byte `skip` on, or posts it again if the frame is
/// dropped.
template <class Ring>
void add(RxVirtqueue& queue, const UsedBuffer& used, std::uint32_t skip, BuiltFrame& frame) noexcept {
  const RxFastPath& path = queue.fast_path;
  const bool fits = used.length > skip && used.length <= path.room;
  if (!fits) frame.why = &RxDrops::bad_length;
  if (frame.segments == paravirtual::kMaxRxSegments) frame.why = &RxDrops::too_many_segments;
  if (frame.why == nullptr && !queue.cache_->has_one()) frame.why = &RxDrops::pool_empty;
  if (frame.why != nullptr) {
    static_cast<void>(exchange<Ring>(queue, used.id, *queue.slots[used.id]));
    return;
  }
  Mbuf& segment = exchange<Ring>(queue, used.id, queue.cache_->pop());
  const std::uint64_t length = used.length - skip;
  const std::uint64_t back = path.header_bytes - skip;
  MbufAccess::set_word(segment,
                       path.word - (path.shortest - path.header_bytes) + length - (back << MbufAccess::kOffsetShift));
  MbufAccess::stamp(segment, paravirtual::kReceiveRing);
  frame.add(segment);
}

/// Describes the frame, and decides whether it is received. What the header says without a feature that allows it is
/// a lie: DATA_VALID is then ignored (5.1.6.4.2), and a frame with a request is dropped.
void describe(RxVirtqueue& queue, VirtioNetHeader header, std::uint32_t hash, std::uint16_t hash_report,
              BuiltFrame& building) noexcept {
  Mbuf& frame = *building.head;
  const std::uint32_t bytes = building.bytes;
  if (bytes < kEthernetHeaderBytes) return void(building.why = &RxDrops::too_short);
  const bool checks = (queue.features & hw::virtio::feature::kGuestCsum) != 0;
  const bool partial = (header.flags & VirtioNetHeader::kNeedsChecksum) != 0;
  if (!checks) header.flags &= static_cast<std::uint8_t>(~VirtioNetHeader::kDataValid);
  if (partial && (!checks || header.checksum_start < kEthernetHeaderBytes ||
                  std::uint32_t{header.checksum_start} + header.checksum_offset + 2 > bytes))
    return void(building.why = &RxDrops::bad_offload);
  std::uint32_t on_wire = bytes;  // those that leave a card must fit, not a frame that is still to be segmented
  std::optional<TxOffload> request;
  if (header.segmentation != 0) {
    request = superframe_request(header, frame.bytes());
    if (!request || !may_be_unsegmented(queue.features, header.segmentation, frame.bytes()[request->l2] >> 4 == 6))
      return void(building.why = &RxDrops::bad_offload);
    on_wire = std::min<std::uint32_t>(bytes, request->l4_offset() + request->l4 + request->segment_size);
  }
  if ((building.why = queue.drop_reason(frame, on_wire)) != nullptr) return;
  if (queue.hashes) {
    const bool has_hash = hash_report != 0 && hash_report <= hw::virtio::kMaxHashReport;
    SoftwareRxMetadata{.packet_type = type_of_hash(hash_report),
                       .rss_hash = has_hash ? std::optional(hash) : std::nullopt,
                       .l4_checksum = (header.flags & VirtioNetHeader::kDataValid) != 0 ? ChecksumStatus::good
                                                                                        : ChecksumStatus::unknown}
        .attach_to(frame);
  } else {
    header.attach_to(frame);
  }
  if (request) {
    if (!request_checksums(frame, *request)) building.why = &RxDrops::bad_offload;
  } else if (partial) {
    request_checksum(frame, header);
  }
}

}  // namespace

template <class Ring>
POLLUX_NOINLINE RxOutcome rx_take_slow(RxVirtqueue& queue, Mbuf*& out) noexcept {
  UsedBuffer used;
  if (!read_entry<Ring>(queue, used)) return RxOutcome::nothing;
  const RxFastPath& path = queue.fast_path;
  hw::virtio::NetHeaderWithHash header;
  std::memcpy(&header, reinterpret_cast<const std::byte*>(queue.slots[used.id]) + path.header_at, path.header_bytes);
  const hw::virtio::NetHeader& plain = header.header;
  const VirtioNetHeader described{.flags = plain.flags,
                                  .segmentation = plain.gso_type,
                                  .header_length = plain.header_length,
                                  .segment_size = plain.gso_size,
                                  .checksum_start = plain.checksum_start,
                                  .checksum_offset = plain.checksum_offset};
  BuiltFrame frame;
  const std::uint32_t buffers = queue.mergeable ? plain.num_buffers : 1;
  if (buffers == 0 || buffers > queue.mask + 1) frame.why = &RxDrops::error;
  add<Ring>(queue, used, path.header_bytes, frame);
  // The device shows all buffers of a frame at once ("Multi-buffer requests"): one that is missing was never there.
  for (std::uint32_t i = 1; i < buffers && frame.why != &RxDrops::error; ++i) {
    if (read_entry<Ring>(queue, used)) {
      add<Ring>(queue, used, 0, frame);
    } else {
      frame.why = &RxDrops::error;
    }
  }
  if (frame.why == nullptr) describe(queue, described, header.hash_value, header.hash_report, frame);
  return queue.finish(frame, out);
}

template RxOutcome rx_take_slow<SplitRing>(RxVirtqueue&, Mbuf*&) noexcept;
template RxOutcome rx_take_slow<PackedRing>(RxVirtqueue&, Mbuf*&) noexcept;

}  // namespace pollux::drivers::virtio
