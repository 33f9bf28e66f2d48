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

/// What of a request is compared with each frame and written to it: a copy, which no store can alias.
struct RepeatKey {
  std::uint64_t what;
  std::uint64_t lengths;
  std::size_t ip_checksum;
  std::uint16_t zero;
};

/// Sends a frame if it repeats the request, with `flags` added to its command.
template <Kind kKind>
POLLUX_ALWAYS_INLINE bool send_repeat(const TxRepeat& repeat, const RepeatKey& key, hw::intel::Descriptor& descriptor,
                                      Mbuf*& slot, Mbuf* frame, std::uint64_t flags = 0) noexcept {
  if (ownership::kChecked && (frame == nullptr || !ownership::is_allocated(*frame, repeat.context))) return false;
  const std::uint32_t excess = static_cast<std::uint32_t>(MbufAccess::word(*frame)) - repeat.shortest;
  if (excess > repeat.max_excess || request_word<std::uint64_t>(*frame, 0) != key.what) [[unlikely]]
    return false;
  if (kKind != Kind::tag && request_word<std::uint64_t>(*frame, 1) != key.lengths) [[unlikely]]
    return false;
  const std::uint64_t address = frame->data_iova();
  descriptor = {address, excess * repeat.per_byte + repeat.command + flags};
  slot = frame;
  MbufAccess::special(*frame) = 0;
  void* const checksum =
      kKind == Kind::ip ? reinterpret_cast<void*>(address + key.ip_checksum) : frame->data() + key.ip_checksum;
  if (kKind == Kind::ip || kKind == Kind::ip_anywhere) std::memcpy(checksum, &key.zero, sizeof key.zero);
  return true;
}

/// Sends frames that repeat a request, from the negative index `i` on; the pointers are the ends of the arrays.
template <Kind kKind>
class RepeatLoop {
 public:
  POLLUX_ALWAYS_INLINE RepeatLoop(const TxRepeat& repeat, hw::intel::Descriptor* descriptors, Mbuf** slots,
                                  Mbuf* const* frames) noexcept
      : repeat_(repeat),
        key_{repeat.what, repeat.lengths, repeat.ip_checksum, opaque(std::uint16_t{0})},
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
    return send_repeat<kKind>(repeat_, key_, descriptors_[i], slots_[i], frames_[i]);
  }

  // Read from memory by the instructions that use it, since not everything fits into registers.
  const TxRepeat& repeat_;
  const RepeatKey key_;
  hw::intel::Descriptor* const descriptors_;
  Mbuf** const slots_;
  Mbuf* const* const frames_;
};

// Sets RS on the last slot of each group in `first` to `last`, and on `last`.
POLLUX_ALWAYS_INLINE void report(TxRing& ring, std::uint32_t first, std::uint32_t last) noexcept {
  for (std::uint32_t slot = first | ring.group_mask; slot < last; slot += ring.group_mask + 1)
    ring.descriptors[slot].hi |= tx::kReportStatus;
  ring.descriptors[last].hi |= tx::kReportStatus;
}

template <Kind kKind>
std::uint32_t send_run(TxRing& ring, const TxRepeat& repeat, Mbuf* const* frames, std::uint32_t count,
                       RingIndex& next) noexcept {
  const std::uint32_t slot = next.slot(ring.mask);
  const std::uint32_t run = std::min({ring.mask + 1 - slot, count, free_slots(ring, next)});
  const std::uint32_t end = slot + run;
  const std::intptr_t i = RepeatLoop<kKind>(repeat, ring.descriptors + end, ring.slots + end, frames + run)
                              .send(-static_cast<std::intptr_t>(run));
  const std::uint32_t sent = run + static_cast<std::uint32_t>(i);
  if (sent == 0) [[unlikely]]
    return 0;
  report(ring, slot, slot + sent - 1);
  next += sent;
  return sent;
}

POLLUX_ALWAYS_INLINE std::uint32_t send_repeats(TxRing& ring, Mbuf* const* frames, std::uint32_t count, RingIndex& next,
                                                std::uint32_t index) noexcept {
  const TxRepeat& repeat = ring.contexts.repeat(index);
  return repeat.send(ring, repeat, frames, count, next);
}

POLLUX_ALWAYS_INLINE void clean_done_groups(TxRing& ring) noexcept {
  if (ring.group_mask == TxRing::kGroup - 1) [[likely]] {
    while (oldest_done<false>(ring)) clean_group<ScalarTxLoop, false>(ring);
  } else {
    while (oldest_done<true>(ring)) clean_group<ScalarTxLoop, true>(ring);
  }
}

POLLUX_ALWAYS_INLINE void finish_burst(TxRing& ring, std::uint32_t frames) noexcept {
  if (ring.tail.is_remote()) {
    tx_finish<true>(ring, ring.next, frames);
  } else {
    tx_finish<false>(ring, ring.next, frames);
  }
}

// The other frames share the doorbell.
POLLUX_COLD std::uint32_t send_rest(TxRing& ring, Mbuf* const* mbufs, std::uint32_t count, std::uint32_t taken,
                                    TxBurstLoop* rest) noexcept {
  const std::uint32_t more = rest(ring, mbufs + taken, count - taken);
  if (more == 0) {
    finish_burst(ring, taken);
  } else {
    add_to(ring.packets_, taken);
  }
  return taken + more;
}

POLLUX_COLD std::uint32_t finish_remote(TxRing& ring, RingIndex next) noexcept {
  tx_finish<true>(ring, next, 1);
  return 1;
}

// Without what a run of frames needs. What is called is called last, so that no register has to be saved.
template <Kind kKind>
std::uint32_t send_only(TxRing& ring, const TxRepeat& repeat, Mbuf* const* frames, TxBurstLoop* rest) noexcept {
  hw::intel::Descriptor descriptor;
  Mbuf* sent = nullptr;
  if (!send_repeat<kKind>(repeat, {repeat.what, repeat.lengths, repeat.ip_checksum, 0}, descriptor, sent, frames[0],
                          tx::kReportStatus)) [[unlikely]]
    return tx_request_burst(ring, frames, 1, rest);
  RingIndex next = ring.next;
  put_descriptor(ring, next, descriptor, sent);
  if (ring.tail.is_remote()) [[unlikely]]
    return finish_remote(ring, next);
  tx_finish<false>(ring, next, 1);
  return 1;
}

template <Kind kKind>
void send_by(TxRepeat& repeat) noexcept {
  repeat.send = &send_run<kKind>;
  repeat.send_one = &send_only<kKind>;
}

}  // namespace

std::uint32_t tx_send_requests(TxRing& ring, Mbuf* const* frames, std::uint32_t count, RingIndex& next) noexcept {
  const std::uint32_t latest = ring.contexts.latest();
  if (const std::uint32_t sent = send_repeats(ring, frames, count, next, latest)) [[likely]]
    return sent;
  const std::uint32_t other = 1 - latest;
  if (const std::uint32_t sent = send_repeats(ring, frames, count, next, other)) {
    ring.contexts.use(other);
    return sent;
  }
  return ring.send_request(ring, frames[0], next) == TxOutcome::no_room ? 0 : 1;
}

std::uint32_t tx_request_burst(TxRing& ring, Mbuf* const* mbufs, std::uint32_t count, TxBurstLoop* rest) noexcept {
  clean_done_groups(ring);
  std::uint32_t taken = 0;
  do {
    const std::uint32_t sent = tx_send_requests(ring, mbufs + taken, count - taken, ring.next);
    if (sent == 0) [[unlikely]]
      break;
    taken += sent;
    if (taken != count && !has_request(mbufs[taken])) [[unlikely]]
      return send_rest(ring, mbufs, count, taken, rest);
  } while (taken != count);
  if (taken != 0) [[likely]]
    finish_burst(ring, taken);
  return taken;
}

std::uint32_t TxRepeat::send_any(TxRing& ring, const TxRepeat& /*repeat*/, Mbuf* const* frames,
                                 TxBurstLoop* rest) noexcept {
  return tx_request_burst(ring, frames, 1, rest);
}

// Only a direct mbuf of the cache's pool can become a plain one.
void remember_request(TxRing& ring, Mbuf& frame, const TxCommand& command) noexcept {
  constexpr std::uint32_t kRequest = std::uint32_t{MbufAccess::kOffload} << MbufAccess::kSpecialShift;
  constexpr std::uint32_t kLength = 0xFFFF;
  const TxOffload& request = MbufAccess::tx_offload(frame);
  const bool is_long = is_segmented(request);
  const std::uint32_t key = (ring.fast_path.shortest & ~kLength) | kRequest;
  if ((static_cast<std::uint32_t>(MbufAccess::word(frame)) & ~kLength) != key) return;
  const std::uint32_t tag = (command.flags & tx::kInsertVlan) != 0 ? kVlanTagBytes : 0;
  const std::uint32_t longest = is_long ? kMaxTso : ring.limits().max_frame - tag;
  if (command.shortest > longest) return;
  TxRepeat repeat{.what = request_word<std::uint64_t>(frame, 0),
                  .lengths = request_word<std::uint64_t>(frame, 1),
                  .command = ring.fast_path.command + command.flags + ring.contexts.select(command) +
                             (command.shortest - TxRing::kMinFrame) * ring.fast_path.per_byte,
                  .per_byte = ring.fast_path.per_byte,
                  .shortest = key | command.shortest,
                  .max_excess = longest - command.shortest,
                  .context = ring.context(),
                  .segments = {}};
  if (is_long) {
    remember_segments(frame, command, repeat);
  } else if ((request.flags & TxOffload::ipv4_checksum) != 0) {
    const bool is_one = ring.sent_cache->pool().has_one_segment();
    repeat.ip_checksum = request.l3_offset() + kIpChecksumField;
    if (is_one) repeat.ip_checksum += reinterpret_cast<std::uintptr_t>(frame.data()) - frame.data_iova();
    is_one ? send_by<Kind::ip>(repeat) : send_by<Kind::ip_anywhere>(repeat);
  } else if ((request.flags & TxOffload::kL4Checksums) != 0) {
    send_by<Kind::transport>(repeat);
  } else {
    send_by<Kind::tag>(repeat);
  }
  ring.contexts.remember(repeat);
}

}  // namespace pollux::drivers::intel
