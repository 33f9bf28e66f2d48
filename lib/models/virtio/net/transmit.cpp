// SPDX-License-Identifier: BSD-3-Clause
#include "models/virtio/net/transmit.hpp"

#include <algorithm>
#include <cstring>

namespace pollux::models::virtio {
namespace {

/// The longest packet of IP, with a header of Ethernet and two tags.
constexpr std::size_t kMaxFrame = 65535 + 22;

}  // namespace

bool Transmit::send(std::uint32_t pair) {
  Queue& queue = core_.tx(pair);
  // A driver that always has more to send gets its descriptors back meanwhile, or its ring would look full to it.
  const std::uint32_t share = std::max(queue.setup().size / 4U, 1U);
  std::uint32_t packets = 0;
  while (!held_ && continue_frame() && core_.may_work() && core_.take(queue, chain_)) {
    // 5.1.6.2.1 and QEMU: a transmit buffer that the device could write is a mistake.
    if (!chain_.writable.empty()) return core_.fail("a transmit buffer is writable"), false;
    if (!read(queue, chain_)) return core_.fail("a transmit buffer cannot be read"), false;
    queue.use(chain_, 0);
    send_frame(pair);
    if (++packets % share == 0) core_.finish(queue, share);
  }
  if (packets % share != 0) core_.finish(queue, packets % share);
  queue.ask_for_kicks(true);
  return !held_ && (!leaving_.finished() || queue.available());
}

bool Transmit::continue_frame() {
  while (link_ && !leaving_.finished() && core_.may_work()) hooks_.send(leaving_.next());
  if (!link_) leaving_.discard();
  return leaving_.finished();
}

bool Transmit::read(const Queue& queue, const Chain& chain) {
  bytes_.clear();
  if (chain.readable_bytes() > kMaxFrame + sizeof(hw::NetHeaderWithHash)) return true;  // bad, as one without bytes
  for (const Chain::Part& part : chain.readable) {
    const std::size_t at = bytes_.size();
    bytes_.resize(at + part.length);
    if (!core_.memory.read(ModelAccess::payload_read, queue.number(), part.iova, std::span(bytes_).subspan(at)))
      return false;
  }
  return true;
}

// [I-V-TXBAD] A frame with a header that does not fit it is dropped and its buffer is used: the standard lets a device
// drop it.
void Transmit::send_frame(std::uint32_t pair) {
  ++core_.counters.tx_frames;
  const std::size_t header_bytes =
      core_.has(hw::feature::kHashReport) ? sizeof(hw::NetHeaderWithHash) : sizeof(hw::NetHeader);
  if (bytes_.size() < header_bytes + kEthernetBytes) return void(++core_.counters.tx_bad);
  hw::NetHeader header;
  std::memcpy(&header, bytes_.data(), sizeof header);
  frame_.assign(bytes_.begin() + static_cast<std::ptrdiff_t>(header_bytes), bytes_.end());
  if (!is_valid(header, frame_, core_.features)) return void(++core_.counters.tx_bad);
  receive_.learn(frame_, pair);
  if (!link_) return void(++core_.counters.tx_no_link);
  header.flags &= kNeedsChecksum;
  if (hooks_.pass(header, frame_)) return;
  leaving_.start(header, frame_);
  static_cast<void>(continue_frame());
}

}  // namespace pollux::models::virtio
