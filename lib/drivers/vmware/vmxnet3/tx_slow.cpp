// SPDX-License-Identifier: BSD-3-Clause
// The transmit slow path: chains, clones, external buffers, mbufs of other pools, and frames with an offload request.
// Headers that change are copied to memory of the ring, so the bytes of the frame stay as they are.
#include <array>
#include <cstring>
#include <span>

#include "base/compiler.hpp"
#include "drivers/paravirtual/tx_request.hpp"
#include "drivers/vmware/vmxnet3/tx_queue.hpp"
#include "net/checksums.hpp"
#include "net/frame_size.hpp"
#include "net/superframe.hpp"
#include "pollux/net/packet/byte_order.hpp"
#include "pollux/net/packet/ethernet.hpp"
#include "pollux/net/packet/transport.hpp"

namespace pollux::drivers::vmxnet3 {
namespace {

namespace tx = hw::vmxnet3::tx;

constexpr std::uint32_t kMacBytes = 12;

/// What a frame's request becomes.
struct Prepared {
  std::uint64_t bits = 0;          ///< of the first descriptor
  std::span<std::uint8_t> copied;  ///< what is sent in place of the first `replaced` bytes
  std::uint32_t replaced = 0;
};

/// Headers in memory of the ring, behind room for a tag.
std::span<std::uint8_t> copy_headers(const Mbuf& frame, std::span<std::uint8_t> room, std::uint32_t bytes) noexcept {
  const std::span<std::uint8_t> copy = room.subspan(kVlanTagBytes, bytes);
  static_cast<void>(frame.copy_out(0, copy));
  return copy;
}

// The device computes a TCP or UDP checksum up to the end of the frame. That of an IPv4 header is computed here.
bool leave_to_device(const Mbuf& frame, const TxOffload& request, std::span<std::uint8_t> room,
                     Prepared& prepared) noexcept {
  const paravirtual::DeviceChecksum checksum(request);
  const std::uint32_t start = request.l4_offset();
  const FrameBytes bytes = FrameBytes::to_read(frame);
  if (checksum.protocol == 0 || start > tx::kMaxHeader || !has_common_headers(bytes, request, checksum.protocol) ||
      !fills_frame(bytes, request, checksum.protocol) ||
      !paravirtual::copy_ipv4_header(frame, request, room.subspan(kVlanTagBytes), prepared.replaced)) {
    return false;
  }
  prepared.copied = room.subspan(kVlanTagBytes, prepared.replaced);
  prepared.bits = tx::kChecksum | std::uint64_t{start} << tx::kHeaderShift |
                  std::uint64_t{start + checksum.field} << tx::kOffsetShift;
  return true;
}

/// The IPv4 checksum and lengths of the whole are right in the copy. The sum of the pseudo-header stays without a
/// length, as Linux leaves it (vmxnet3_drv.c, vmxnet3_prepare_tso).
TxDrop prepare_segmentation(const Mbuf& frame, const TxOffload& request, std::span<std::uint8_t> room,
                            Prepared& prepared) noexcept {
  const std::uint32_t headers = request.l4_offset() + request.l4;
  if (headers > room.size() - kVlanTagBytes) return &TxDrops::unfit_headers;
  if (!has_common_headers(FrameBytes::to_read(frame), request, packet::ip_protocol::kTcp))
    return &TxDrops::unsupported_offload;
  if (request.segment_size > tx::kMaxOffset) return &TxDrops::bad_offload;
  prepared.copied = copy_headers(frame, room, headers);
  prepared.replaced = headers;
  std::uint8_t* const field = &prepared.copied[request.l4_offset() + packet::TcpHeader::kChecksumAt];
  const std::uint16_t sum = packet::load16(field);
  static_cast<void>(superframe_header(prepared.copied, request, frame.packet_length()));
  packet::store16(field, sum);
  prepared.bits = tx::kSegment | std::uint64_t{headers} << tx::kHeaderShift |
                  std::uint64_t{request.segment_size} << tx::kOffsetShift;
  return nullptr;
}

/// QEMU's device replaces a tag that the frame has (net/eth.c, eth_setup_vlan_headers), so the tag is then put in front
/// of it here.
void put_tag_in_front(const Mbuf& frame, std::uint16_t tag, std::span<std::uint8_t> room, Prepared& prepared) noexcept {
  if (prepared.replaced < kMacBytes) {
    prepared.copied = copy_headers(frame, room, kMacBytes);
    prepared.replaced = kMacBytes;
  }
  std::memmove(room.data(), room.data() + kVlanTagBytes, kMacBytes);
  packet::store16(&room[kMacBytes], packet::ether_type::kVlan);
  packet::store16(&room[kMacBytes + 2], tag);
  prepared.copied = room.first(prepared.copied.size() + kVlanTagBytes);
}

/// Decides what the device does for a frame's request, and does the rest. Returns the reason to drop the frame, or
/// nullptr. QEMU's device finds no IP header behind two tags of this type.
TxDrop prepare(Mbuf& frame, std::span<std::uint8_t> room, Prepared& prepared) noexcept {
  const TxOffload request = frame.tx_offload();
  const bool inserts = (request.flags & TxOffload::insert_vlan) != 0;
  if (inserts && frame.length() < kEthernetHeaderBytes) return &TxDrops::no_headroom;
  const bool two_tags = inserts && packet::is_vlan(packet::load16(&frame.bytes()[kMacBytes]));
  if ((request.flags & TxOffload::tcp_segmentation) != 0) {
    if (two_tags) return &TxDrops::unsupported_offload;
    if (const TxDrop why = prepare_segmentation(frame, request, room, prepared)) return why;
  } else if (frame.has_partial_checksum() && (two_tags || !leave_to_device(frame, request, room, prepared))) {
    if (const TxDrop why = paravirtual::compute_checksums(frame)) return why;
  }
  if (two_tags) {
    put_tag_in_front(frame, request.vlan, room, prepared);
  } else if (inserts) {
    prepared.bits |= tx::kInsertTag | std::uint64_t{request.vlan} << tx::kTagShift;
  }
  return nullptr;
}

}  // namespace

POLLUX_NOINLINE TxOutcome tx_send_slow(TxRing& queue, Mbuf* frame) noexcept {
  if (queue.reject(frame)) return TxOutcome::dropped;
  const bool segments = (frame->tx_offload().flags & TxOffload::kSegmentation) != 0;
  const std::uint32_t most = std::min(segments ? tx::kMaxSegmentPieces : tx::kMaxPieces, queue.mask);
  const std::uint32_t slot = queue.next & queue.mask;
  const std::size_t copy_at =
      std::size_t{queue.mask + 1} * (sizeof(reg::Descriptor) + sizeof(reg::Completion)) + slot * kTxCopyBytes;
  const std::span<std::uint8_t> room(queue.memory.at<std::uint8_t>(copy_at), kTxCopyBytes);
  TxDrop why = paravirtual::is_reachable(*frame) ? nullptr : &TxDrops::unreachable;
  if (!segments && frame->segments() > kMaxTxSegments) why = &TxDrops::too_many_segments;
  Prepared prepared;
  paravirtual::Pieces<tx::kMaxSegmentPieces, tx::kMaxLength> pieces;
  if (queue.free_slots() == 0) return TxOutcome::no_room;  // the room for copies may be in use
  if (why == nullptr) why = prepare(*frame, room, prepared);
  if (why == nullptr) {
    const auto offset = static_cast<std::uint64_t>(prepared.copied.data() - queue.memory.at<std::uint8_t>(0));
    if (!pieces.add(queue.memory.iova + offset, static_cast<std::uint32_t>(prepared.copied.size()), most) ||
        !pieces.add(*frame, prepared.replaced, most))
      why = &TxDrops::too_many_segments;
  }
  if (why != nullptr) {
    queue.drop(*frame, why);
    return TxOutcome::dropped;
  }
  if (pieces.count > queue.free_slots()) return TxOutcome::no_room;
  // The first descriptor is the last that the device gets: with it, it sees the frame.
  for (std::uint32_t i = pieces.count; i-- != 0;) {
    const std::uint32_t position = queue.next + i;
    reg::Descriptor& descriptor = queue.descriptors[position & queue.mask];
    std::uint64_t word = pieces.list[i].length | queue.generation(position);
    if (i == 0) word |= prepared.bits;
    if (i + 1 == pieces.count) word |= tx::kEndOfPacket | tx::kReport;
    queue.slots[position & queue.mask] = TxRing::kSpecial;
    descriptor.address = pieces.list[i].iova;
    io::io_wmb();
    __atomic_store_n(&descriptor.word, word, __ATOMIC_RELEASE);
  }
  const std::uint32_t last = queue.next + pieces.count - 1;
  queue.slots[last & queue.mask] = reinterpret_cast<std::uintptr_t>(frame) | TxRing::kSpecial;
  add_to(queue.next, pieces.count);
  queue.count_sent(frame->packet_length());
  return TxOutcome::queued;
}

}  // namespace pollux::drivers::vmxnet3
