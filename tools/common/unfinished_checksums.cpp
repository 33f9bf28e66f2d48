// SPDX-License-Identifier: BSD-3-Clause
#include "common/unfinished_checksums.hpp"

namespace pollux::tools {
namespace {

bool has_unfinished_checksum(std::span<const std::uint8_t> frame) {
  const packet::Layout layout = packet::parse(frame);
  const bool tcp = layout.type.has(PacketType::tcp);
  if (layout.truncated || (!tcp && !layout.type.has(PacketType::udp))) return false;
  if (packet::l4_checksum(frame, layout) != ChecksumStatus::bad) return false;
  const auto places = packet::pseudo_header_places(frame, layout);
  if (!places) return false;
  packet::InternetSum sum;
  sum.add(frame.subspan(places->source, places->bytes));
  sum.add(frame.subspan(places->destination, places->bytes));
  sum.add(std::uint32_t{layout.protocol});
  sum.add(static_cast<std::uint32_t>(layout.end - layout.l4));
  return packet::load16(&frame[layout.l4 + (tcp ? 16U : 6U)]) == sum.folded();
}

}  // namespace

Result<void> UnfinishedChecksums::attach() {
  for (const std::size_t count = port_.config().rx.size(); queues_ < count; ++queues_) {
    if (auto attached = port_.attach_observer(queues_, *this); !attached) return attached;
  }
  return {};
}

void UnfinishedChecksums::received(const RxQueue& /*queue*/, std::span<Mbuf* const> frames) noexcept {
  seen_.fetch_add(static_cast<std::uint32_t>(frames.size()), std::memory_order_relaxed);
  for (const Mbuf* frame : frames) {
    if (frame->segments() == 1 && has_unfinished_checksum(frame->bytes())) unfinished_ = true;
  }
}

bool UnfinishedChecksums::found() {
  if (queues_ == 0 || (!unfinished_ && seen_ < kFrames)) return false;
  // A queue whose thread is in a burst for long stays observed until the next call.
  while (queues_ != 0 && port_.detach_observer(queues_ - 1, *this)) --queues_;
  return queues_ == 0 && unfinished_;
}

}  // namespace pollux::tools
