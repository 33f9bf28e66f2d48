// SPDX-License-Identifier: BSD-3-Clause
#include "ports/tap/queues.hpp"

#include <poll.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "net/checksums.hpp"
#include "net/frame_size.hpp"
#include "net/queue_event.hpp"
#include "net/superframe.hpp"
#include "pollux/net/checksum_offload.hpp"
#include "pollux/net/packet/ip.hpp"
#include "pollux/net/rx_metadata.hpp"

namespace pollux::tap {
namespace {

constexpr std::array<std::uint8_t, 6> kNoDestination{};
constexpr std::size_t kHeaderBytes = sizeof(VirtioNetHeader);
constexpr std::uint16_t kTcpChecksum = 16;  // offset in the header: RFC 9293, 3.1
constexpr std::uint16_t kUdpChecksum = 6;   // RFC 768

}  // namespace

void TapRxQueue::give_back_from(std::size_t first) noexcept {
  for (std::size_t i = first; i < reserved_; ++i) give_back(*segments_[i]);
  reserved_ = 0;
}

// Allocates mbufs for `bytes`, or as many as one frame may have. If the pool is exhausted, returns false and keeps
// none.
bool TapRxQueue::reserve(std::uint32_t bytes) noexcept {
  for (room_ = 0; room_ < bytes && reserved_ < kMaxSegments;) {
    Mbuf* const segment = allocate();
    if (segment == nullptr) {
      give_back_from(0);
      return false;
    }
    segments_[reserved_++] = segment;
    room_ += segment->tailroom();
  }
  return true;
}

// Reads a frame. Returns its length in bytes; 0 if there is none.
std::int64_t TapRxQueue::read_frame() noexcept {
  std::array<iovec, kMaxSegments + 2> parts;
  parts[0] = {.iov_base = &header_, .iov_len = kHeaderBytes};
  for (std::size_t i = 0; i < reserved_; ++i) {
    parts[i + 1] = {.iov_base = segments_[i]->data(), .iov_len = segments_[i]->tailroom()};
  }
  // The kernel truncates a frame that does not fit and does not report it. Bytes in overflow_ show that it is too long.
  parts[reserved_ + 1] = {.iov_base = overflow_.data(), .iov_len = overflow_.size()};
  const auto bytes = ::readv(descriptor_, parts.data(), static_cast<int>(reserved_ + 2));
  if (bytes >= 0) return std::max<std::int64_t>(bytes - static_cast<std::int64_t>(kHeaderBytes), 0);
  // The interface was deleted; the file stays open (Linux, drivers/net/tun.c, tun_chr_read_iter: EBADFD).
  if (errno == EBADFD) deleted_.store(true, std::memory_order_relaxed);
  saw_empty_ = true;
  return 0;
}

// Checks, filters and counts a frame. Its first segment is at `start`. Returns false if it was counted as dropped.
bool TapRxQueue::admit_frame(const std::uint8_t* start, std::uint32_t bytes) noexcept {
  const bool needs_checksum = (header_.flags & VirtioNetHeader::kNeedsChecksum) != 0;
  if (needs_checksum && std::uint32_t{header_.checksum_start} + header_.checksum_offset + 2 > bytes) {
    drop(&RxDrops::bad_offload, start, bytes);
    return false;
  }
  // The filter's limit may have been raised since the segments were reserved.
  if (bytes > room_) {
    drop(&RxDrops::too_long, start, bytes);
    return false;
  }
  return admit(start, bytes);
}

// Sets the frame's metadata and checksum request from the header that the kernel sent with it.
void TapRxQueue::attach_metadata(Mbuf& frame) const noexcept {
  header_.attach_to(frame);
  if ((header_.flags & VirtioNetHeader::kNeedsChecksum) != 0) request_checksum(frame, header_);
}

// Chains the segments of a frame of `bytes` bytes, and frees those that it does not need.
MbufPtr TapRxQueue::build_frame(std::uint32_t bytes) noexcept {
  MbufPtr frame;
  std::size_t used = 0;
  for (std::uint32_t left = bytes; left != 0; ++used) {
    MbufPtr segment(segments_[used]);
    const std::uint32_t part = std::min(left, segment->tailroom());
    MbufAccess::data_length(*segment) = static_cast<std::uint16_t>(part);
    left -= part;
    if (frame == nullptr) {
      frame = std::move(segment);
    } else {
      static_cast<void>(frame->chain(segment));  // cannot fail: at most 255 unshared segments
    }
  }
  give_back_from(used);
  return frame;
}

// Makes a frame that requests segmentation. The result is empty if the frame was counted as dropped. What the kernel
// says about its headers is checked as what a stranger says would be.
MbufPtr TapRxQueue::build_superframe(std::uint32_t bytes) noexcept {
  const std::uint8_t* const start = segments_[0]->data();
  const std::uint32_t in_first = std::min(bytes, segments_[0]->tailroom());
  const auto request = superframe_request(header_, {start, in_first});
  const std::uint32_t headers = request ? request->l4_offset() + request->l4 : 0;
  // The frames that leave a card must fit, not this one.
  const std::uint32_t on_wire = request ? std::min(bytes, headers + request->segment_size) : 0;
  RxDrop why = filter().drop_reason(start, on_wire);
  if (bytes > room_) why = &RxDrops::too_long;
  if (!request) why = &RxDrops::bad_offload;
  if (why) {
    drop(why, start, bytes);
    give_back_from(0);
    return {};
  }
  MbufPtr frame = build_frame(bytes);
  header_.attach_to(*frame);
  // The length is no part of TxOffload's partial checksum, but of the kernel's.
  if (!request_checksums(*frame, *request)) {
    drop(&RxDrops::bad_offload, frame->data(), bytes);
    return {};
  }
  count_arrival(frame->data(), bytes);
  return frame;
}

std::uint32_t TapRxQueue::burst(RxQueue& base, Mbuf** out, std::uint32_t limit) noexcept {
  auto& queue = static_cast<TapRxQueue&>(base);
  queue.saw_empty_ = false;
  std::uint32_t received = 0;
  // Dropped frames count towards the limit, too.
  for (std::uint32_t reads = 0; reads < limit; ++reads) {
    if (!queue.reserve(queue.superframes_ ? kMaxSegmentedFrame : queue.filter().longest())) break;
    const auto bytes = static_cast<std::uint32_t>(queue.read_frame());
    const std::uint8_t* const start = queue.segments_[0]->data();
    if (bytes < kEthernetHeaderBytes) {
      queue.give_back_from(0);
      if (bytes == 0) break;
      queue.drop(&RxDrops::too_short, kNoDestination.data(), bytes);
    } else if (queue.header_.segmentation != 0) {
      if (MbufPtr frame = queue.build_superframe(bytes)) out[received++] = frame.release();
    } else if (!queue.admit_frame(start, bytes)) {
      queue.give_back_from(0);
    } else {
      MbufPtr frame = queue.build_frame(bytes);
      queue.attach_metadata(*frame);
      out[received++] = frame.release();
    }
  }
  queue.count_returned(received);
  return received;
}

// The interface's own descriptor is readable while the kernel has frames for it. So if a burst has just found none, a
// frame that has come since wakes the program, and poll(2) would say nothing more.
bool TapRxQueue::watch() noexcept {
  if (!std::exchange(saw_empty_, false)) {
    pollfd waiting{descriptor_, POLLIN, 0};
    if (::poll(&waiting, 1, 0) == 1) {
      if ((waiting.revents & POLLERR) == 0) return false;
      deleted_.store(true, std::memory_order_relaxed);
    }
  }
  // The interface was deleted (Linux, drivers/net/tun.c, tun_chr_poll: EPOLLERR). Its descriptor would stay readable,
  // so it is no longer watched.
  if (is_deleted()) event()->set_source(-1);
  return true;
}

void TapRxQueue::drain() noexcept {
  constexpr int kMaxFrames = 4096;  // more than the kernel's queue; bounds the loop if the carrier stays on
  std::vector<std::uint8_t> frame(65536);
  for (int i = 0; i < kMaxFrames; ++i) {
    std::array<iovec, 2> parts{
        {{.iov_base = &header_, .iov_len = kHeaderBytes}, {.iov_base = frame.data(), .iov_len = frame.size()}}};
    const auto bytes = ::readv(descriptor_, parts.data(), static_cast<int>(parts.size()));
    if (bytes <= static_cast<std::int64_t>(kHeaderBytes)) return;
    drop(&RxDrops::stopped, frame.data(), static_cast<std::uint32_t>(bytes) - std::uint32_t{kHeaderBytes});
  }
}

// Returns 0 or errno.
int TapTxQueue::write_frame(Mbuf& frame) noexcept {
  if ((frame.tx_offload().flags & TxOffload::kSegmentation) != 0) return write_superframe(frame);
  if (frame.has_partial_checksum()) return write_partial(frame);
  VirtioNetHeader header;
  // As Linux does for frames that it passes to a TAP (include/linux/virtio_net.h, virtio_net_hdr_from_skb).
  if (frame.has_rx_words() && RxMetadata(frame).l4_checksum() == ChecksumStatus::good) {
    header.flags = VirtioNetHeader::kDataValid;
  }
  std::array<iovec, 257> parts;
  parts[0] = {.iov_base = &header, .iov_len = kHeaderBytes};
  int count = 1;
  for (Mbuf* segment = &frame; segment != nullptr; segment = segment->next()) {
    parts[static_cast<std::size_t>(count++)] = {.iov_base = segment->data(), .iov_len = segment->length()};
  }
  return ::writev(descriptor_, parts.data(), count) >= 0 ? 0 : errno;
}

// Returns 0 or errno. It does not change the frame, because the frame may be sent again and its bytes may be shared.
int TapTxQueue::write_partial(const Mbuf& frame) noexcept {
  const std::span<std::uint8_t> whole(scratch_.data(), frame.copy_out(0, scratch_));
  const TxOffload request = frame.tx_offload();
  TxOffload ours = request;
  ours.flags &= std::uint32_t{TxOffload::ipv4_checksum | TxOffload::sctp_checksum};
  VirtioNetHeader header;
  if ((request.flags & (TxOffload::tcp_checksum | TxOffload::udp_checksum)) != 0) {
    // The kernel sums up to the packet's end. What it would get wrong, or its header cannot say, is computed here.
    const bool is_tcp = (request.flags & TxOffload::tcp_checksum) != 0;
    const std::uint8_t protocol = is_tcp ? packet::ip_protocol::kTcp : packet::ip_protocol::kUdp;
    if (request.l4_offset() > kMaxHeader || !fills_frame(FrameBytes(whole), request, protocol)) {
      ours = request;
    } else {
      header.flags = VirtioNetHeader::kNeedsChecksum;
      header.checksum_start = static_cast<std::uint16_t>(request.l4_offset());
      header.checksum_offset = is_tcp ? kTcpChecksum : kUdpChecksum;
    }
  }
  if (ours.flags != 0) complete_checksums_in(whole, ours);
  std::array<iovec, 2> parts{
      {{.iov_base = &header, .iov_len = kHeaderBytes}, {.iov_base = whole.data(), .iov_len = whole.size()}}};
  return ::writev(descriptor_, parts.data(), static_cast<int>(parts.size())) >= 0 ? 0 : errno;
}

// Returns 0 or errno. Only the headers are copied, since they change.
int TapTxQueue::write_superframe(Mbuf& frame) noexcept {
  const TxOffload request = frame.tx_offload();
  const std::uint32_t bytes = request.l4_offset() + request.l4;
  const std::span<std::uint8_t> headers(scratch_.data(), frame.copy_out(0, {scratch_.data(), bytes}));
  VirtioNetHeader header = superframe_header(headers, request, frame.packet_length());
  std::array<iovec, 258> parts;
  parts[0] = {.iov_base = &header, .iov_len = kHeaderBytes};
  parts[1] = {.iov_base = headers.data(), .iov_len = headers.size()};
  parts[2] = {.iov_base = frame.data() + bytes, .iov_len = frame.length() - bytes};
  int count = 3;
  for (Mbuf* segment = frame.next(); segment != nullptr; segment = segment->next()) {
    parts[static_cast<std::size_t>(count++)] = {.iov_base = segment->data(), .iov_len = segment->length()};
  }
  return ::writev(descriptor_, parts.data(), count) >= 0 ? 0 : errno;
}

std::uint32_t TapTxQueue::burst(TxQueue& base, Mbuf* const* mbufs, std::uint32_t count) noexcept {
  auto& queue = static_cast<TapTxQueue&>(base);
  std::uint32_t taken = 0;
  for (; taken < count; ++taken) {
    Mbuf& frame = *mbufs[taken];
    if (queue.reject(mbufs[taken])) continue;
    const std::uint32_t bytes = frame.packet_length();
    const int error = queue.write_frame(frame);
    if (error == EAGAIN) break;
    if (error == 0) {
      queue.count_sent(bytes);
      queue.give_back(frame);
    } else {
      // EIO: the interface is down (Linux, drivers/net/tun.c, tun_get_user).
      queue.drop(frame, error == EIO ? &TxDrops::no_receiver : &TxDrops::write_failed);
    }
  }
  queue.count_taken(taken);
  return taken;
}

}  // namespace pollux::tap
