// SPDX-License-Identifier: BSD-3-Clause
// Frames that repeat a request for checksums or a tag. The slow path checks the first one against its headers; of these
// only the length is checked, so that the card never reads beyond a frame. What is written clears the request: the mbuf
// is a plain one again, and its group can be cleaned as a whole.
#include <algorithm>
#include <cstring>

#include "base/compiler.hpp"
#include "drivers/intel/queue/tx_burst.hpp"
#include "drivers/intel/queue/tx_request.hpp"
#include "mem/ownership.hpp"
#include "net/frame_size.hpp"

namespace pollux::drivers::intel {

namespace tx = hw::intel::tx;

namespace {

constexpr std::uint32_t kIpChecksumField = 10;  // offset in the header

/// What a repeated request consists of.
enum class Kind : std::uint8_t {
  tag,          ///< a tag alone
  transport,    ///< a checksum of layer 4
  ip,           ///< that of IPv4, too, in a pool whose bytes are all equally far from their IOVAs
  ip_anywhere,  ///< the same in any pool
};

/// Sends frames that repeat a request, from the negative index `i` on; the pointers are the ends of the arrays.
template <Kind kKind>
class RepeatLoop {
 public:
  POLLUX_ALWAYS_INLINE RepeatLoop(const TxRepeat& repeat, hw::intel::Descriptor* descriptors, Mbuf** slots,
                                  Mbuf* const* frames) noexcept
      : repeat_(repeat),
        what_(repeat.what),
        lengths_(repeat.lengths),
        ip_checksum_(repeat.ip_checksum),
        descriptors_(descriptors),
        slots_(slots),
        frames_(frames) {}

  /// Returns the index of the first frame that does not repeat the request, or 0.
  [[nodiscard]] POLLUX_ALWAYS_INLINE std::intptr_t send(std::intptr_t i) const noexcept {
    constexpr std::intptr_t kUnrolled = 8;
    for (; i <= -kUnrolled; i += kUnrolled) {
      if (!send_one(i)) return i;
      if (!send_one(i + 1)) return opaque(i) + 1;
      if (!send_one(i + 2)) return opaque(i) + 2;
      if (!send_one(i + 3)) return opaque(i) + 3;
      if (!send_one(i + 4)) return opaque(i) + 4;
      if (!send_one(i + 5)) return opaque(i) + 5;
      if (!send_one(i + 6)) return opaque(i) + 6;
      if (!send_one(i + 7)) return opaque(i) + 7;
    }
    while (i != 0 && send_one(i)) ++i;
    return i;
  }

 private:
  POLLUX_ALWAYS_INLINE bool send_one(std::intptr_t i) const noexcept {
    Mbuf* const frame = frames_[i];
    if (ownership::kChecked && (frame == nullptr || !ownership::is_allocated(*frame, repeat_.context))) return false;
    const std::uint32_t excess = static_cast<std::uint32_t>(MbufAccess::word(*frame)) - repeat_.shortest;
    if (excess > repeat_.max_excess || request_word<std::uint64_t>(*frame, 0) != what_) [[unlikely]]
      return false;
    if (kKind != Kind::tag && request_word<std::uint64_t>(*frame, 1) != lengths_) [[unlikely]]
      return false;
    const std::uint64_t address = frame->data_iova();
    descriptors_[i] = {address, excess * repeat_.per_byte + repeat_.command};
    slots_[i] = frame;
    MbufAccess::special(*frame) = 0;
    if constexpr (kKind == Kind::ip) std::memcpy(reinterpret_cast<void*>(address + ip_checksum_), &zero_, sizeof zero_);
    if constexpr (kKind == Kind::ip_anywhere) std::memcpy(frame->data() + ip_checksum_, &zero_, sizeof zero_);
    return true;
  }

  // Read from memory by the instructions that use it, since not everything fits into registers.
  const TxRepeat& repeat_;
  // Copies, which stay in registers: no store can alias them.
  const std::uint64_t what_;
  const std::uint64_t lengths_;
  const std::size_t ip_checksum_;
  hw::intel::Descriptor* const descriptors_;
  Mbuf** const slots_;
  Mbuf* const* const frames_;
  const std::uint16_t zero_ = opaque(std::uint16_t{0});
};

template <Kind kKind>
POLLUX_ALWAYS_INLINE std::intptr_t run_of(const TxRepeat& repeat, hw::intel::Descriptor* descriptors, Mbuf** slots,
                                          Mbuf* const* frames, std::intptr_t i) noexcept {
  return RepeatLoop<kKind>(repeat, descriptors, slots, frames).send(i);
}

}  // namespace

// Sets RS on the last slot of each group in `first` to `last`, and on `last`.
POLLUX_ALWAYS_INLINE void TxHotPath::report(TxQueue& queue, std::uint32_t first, std::uint32_t last) noexcept {
  for (std::uint32_t slot = first | queue.group_mask_; slot < last; slot += queue.group_mask_ + 1)
    queue.ring_[slot].hi |= tx::kReportStatus;
  queue.ring_[last].hi |= tx::kReportStatus;
}

template <auto Run>
std::uint32_t TxHotPath::send_run(TxQueue& queue, const TxRepeat& repeat, Mbuf* const* frames, std::uint32_t count,
                                  RingIndex& next) noexcept {
  const std::uint32_t slot = next.slot(queue.mask_);
  const std::uint32_t run = std::min({queue.mask_ + 1 - slot, count, free_slots(queue, next)});
  const std::uint32_t end = slot + run;
  const std::intptr_t i =
      Run(repeat, queue.ring_ + end, queue.slots_ + end, frames + run, -static_cast<std::intptr_t>(run));
  const std::uint32_t sent = run + static_cast<std::uint32_t>(i);
  if (sent == 0) [[unlikely]]
    return 0;
  report(queue, slot, slot + sent - 1);
  next += sent;
  return sent;
}

POLLUX_ALWAYS_INLINE std::uint32_t TxHotPath::send_repeats(TxQueue& queue, Mbuf* const* frames, std::uint32_t count,
                                                           RingIndex& next, std::uint32_t index) noexcept {
  const TxRepeat& repeat = queue.contexts_.repeat(index);
  return repeat.send(queue, repeat, frames, count, next);
}

std::uint32_t TxHotPath::send_requests(TxQueue& queue, Mbuf* const* frames, std::uint32_t count,
                                       RingIndex& next) noexcept {
  const std::uint32_t latest = queue.contexts_.latest();
  if (const std::uint32_t sent = send_repeats(queue, frames, count, next, latest)) [[likely]]
    return sent;
  const std::uint32_t other = 1 - latest;
  if (const std::uint32_t sent = send_repeats(queue, frames, count, next, other)) {
    queue.contexts_.use(other);
    return sent;
  }
  return send_request(queue, frames[0], next) == Outcome::no_room ? 0 : 1;
}

POLLUX_ALWAYS_INLINE void TxHotPath::clean_done_groups(TxQueue& queue) noexcept {
  if (queue.group_mask_ == kGroup - 1) [[likely]] {
    while (oldest_done<false>(queue)) clean_group<ScalarTxLoop, false>(queue);
  } else {
    while (oldest_done<true>(queue)) clean_group<ScalarTxLoop, true>(queue);
  }
}

std::uint32_t TxHotPath::request_burst(TxQueue& queue, Mbuf* const* mbufs, std::uint32_t count,
                                       BurstLoop* rest) noexcept {
  clean_done_groups(queue);
  std::uint32_t taken = 0;
  do {
    const std::uint32_t sent = send_requests(queue, mbufs + taken, count - taken, queue.next_);
    if (sent == 0) [[unlikely]]
      break;
    taken += sent;
    if (taken != count && !has_request(mbufs[taken])) [[unlikely]]
      return end_with_others(queue, mbufs, count, taken, rest);
  } while (taken != count);
  if (taken != 0) [[likely]]
    finish_either(queue, taken);
  return taken;
}

// The other frames share the doorbell.
POLLUX_COLD std::uint32_t TxHotPath::end_with_others(TxQueue& queue, Mbuf* const* mbufs, std::uint32_t count,
                                                     std::uint32_t taken, BurstLoop* rest) noexcept {
  const std::uint32_t more = rest(queue, mbufs + taken, count - taken);
  if (more == 0) {
    finish_either(queue, taken);
  } else {
    add_to(queue.packets_, taken);
  }
  return taken + more;
}

POLLUX_ALWAYS_INLINE void TxHotPath::finish_either(TxQueue& queue, std::uint32_t frames) noexcept {
  if (queue.tail_.is_remote()) {
    finish<true>(queue, queue.next_, frames);
  } else {
    finish<false>(queue, queue.next_, frames);
  }
}

// Only a direct mbuf of the cache's pool can become a plain one.
void TxHotPath::remember_request(TxQueue& queue, Mbuf& frame, const TxCommand& command) noexcept {
  constexpr std::uint32_t kRequest = std::uint32_t{MbufAccess::kOffload} << MbufAccess::kSpecialShift;
  constexpr std::uint32_t kLength = 0xFFFF;
  const TxOffload& request = MbufAccess::tx_offload(frame);
  const bool is_long = is_segmented(request);
  const std::uint32_t key = (queue.fast_path_.shortest & ~kLength) | kRequest;
  if ((static_cast<std::uint32_t>(MbufAccess::word(frame)) & ~kLength) != key) return;
  const std::uint32_t tag = (command.flags & tx::kInsertVlan) != 0 ? kVlanTagBytes : 0;
  const std::uint32_t longest = is_long ? kMaxTso : queue.limits().max_frame - tag;
  if (command.shortest > longest) return;
  TxRepeat repeat{
      .what = request_word<std::uint64_t>(frame, 0),
      .lengths = request_word<std::uint64_t>(frame, 1),
      .command = kWholeFrame + command.flags + queue.contexts_.select(command) + command.shortest * kPerByte,
      .per_byte = kPerByte,
      .shortest = key | command.shortest,
      .max_excess = longest - command.shortest,
      .context = queue.context(),
      .send = is_long ? &TxRepeat::send_none : &send_run<&run_of<Kind::tag>>,
      .segments = {}};
  if (is_long) {
    remember_segments(frame, command, repeat);
  } else if ((request.flags & TxOffload::ipv4_checksum) != 0) {
    const bool is_one = queue.cache_->pool().has_one_segment();
    repeat.ip_checksum = request.l3_offset() + kIpChecksumField;
    if (is_one) repeat.ip_checksum += reinterpret_cast<std::uintptr_t>(frame.data()) - frame.data_iova();
    repeat.send = is_one ? &send_run<&run_of<Kind::ip>> : &send_run<&run_of<Kind::ip_anywhere>>;
  } else if ((request.flags & TxOffload::kL4Checksums) != 0) {
    repeat.send = &send_run<&run_of<Kind::transport>>;
  }
  queue.contexts_.remember(repeat);
}

}  // namespace pollux::drivers::intel
