// SPDX-License-Identifier: BSD-3-Clause
// Frames that repeat a request for checksums. The slow path checks the first one against its headers; of these only the
// length is checked, so that the card never reads beyond a frame. What is written clears the request: the mbuf is a
// plain one again, and its group can be cleaned as a whole.
#include <algorithm>
#include <cstring>

#include "base/compiler.hpp"
#include "drivers/intel/queue/tx_hot_path.hpp"
#include "drivers/intel/queue/tx_request.hpp"
#include "mem/ownership.hpp"

namespace pollux::drivers::intel {

namespace tx = hw::intel::tx;

namespace {

/// The longest frame that may end in padding of the Ethernet. The card would include the padding in a checksum, so
/// these frames are always checked (60 bytes without FCS, IEEE 802.3, 3.2.8).
constexpr std::uint32_t kMaxPadded = 60;
constexpr std::uint32_t kIpChecksumField = 10;  // offset in the header

// A request consists of two words and its tags.
static_assert(offsetof(TxOffload, l4) == sizeof(std::uint64_t) &&
              offsetof(TxOffload, vlan) == 2 * sizeof(std::uint64_t));

POLLUX_ALWAYS_INLINE std::uint64_t request_word(Mbuf& frame, std::size_t index) noexcept {
  std::uint64_t word;
  std::memcpy(&word, reinterpret_cast<const std::byte*>(&MbufAccess::tx_offload(frame)) + index * sizeof word,
              sizeof word);
  return word;
}

POLLUX_ALWAYS_INLINE bool is_of(const TxRepeat& repeat, Mbuf& frame) noexcept {
  return request_word(frame, 0) == repeat.low && request_word(frame, 1) == repeat.high;
}

POLLUX_ALWAYS_INLINE std::uint32_t excess_of(const TxRepeat& repeat, const Mbuf& frame) noexcept {
  return static_cast<std::uint32_t>(MbufAccess::word(frame)) - repeat.shortest;
}

POLLUX_ALWAYS_INLINE bool is_sendable(Mbuf* frame, const TxRepeat& repeat, const ContextState* context) noexcept {
  if (ownership::kChecked && (frame == nullptr || !ownership::is_allocated(*frame, context))) return false;
  return excess_of(repeat, *frame) <= repeat.max_excess;
}

/// Consecutive slots and the frames to put there. Each pointer is the end of its array.
struct Run {
  hw::intel::Descriptor* descriptors;
  Mbuf** slots;
  Mbuf* const* frames;
};

/// Sends frames that repeat a request. `kClearsIpChecksum`: the request includes the IPv4 checksum.
template <bool kClearsIpChecksum>
class RepeatLoop {
 public:
  POLLUX_ALWAYS_INLINE RepeatLoop(const TxRepeat& repeat, const ContextState* context, const Run& run) noexcept
      : repeat_(repeat),
        low_(repeat.low),
        high_(repeat.high),
        ip_checksum_(repeat.ip_checksum),
        context_(context),
        run_(run) {}

  // From the negative index `i` on. Returns the index of the first frame that does not repeat the request, or 0.
  [[nodiscard]] POLLUX_ALWAYS_INLINE std::intptr_t send(std::intptr_t i) const noexcept {
    constexpr std::intptr_t kUnrolled = 4;
    for (; i <= -kUnrolled; i += kUnrolled) {
      if (!send_one(i)) return i;
      if (!send_one(i + 1)) return opaque(i) + 1;
      if (!send_one(i + 2)) return opaque(i) + 2;
      if (!send_one(i + 3)) return opaque(i) + 3;
    }
    while (i != 0 && send_one(i)) ++i;
    return i;
  }

 private:
  POLLUX_ALWAYS_INLINE bool send_one(std::intptr_t i) const noexcept {
    Mbuf* const frame = run_.frames[i];
    if (!is_sendable(frame, repeat_, context_) || request_word(*frame, 0) != low_ || request_word(*frame, 1) != high_)
        [[unlikely]]
      return false;
    run_.descriptors[i] = {frame->data_iova(), excess_of(repeat_, *frame) * repeat_.per_byte + repeat_.command};
    run_.slots[i] = frame;
    MbufAccess::special(*frame) = 0;
    if constexpr (kClearsIpChecksum) std::memcpy(opaque(frame->data()) + ip_checksum_, &zero_, sizeof zero_);
    return true;
  }

  // Read from memory by the instructions that use it, since not everything fits into registers.
  const TxRepeat& repeat_;
  // Copies, which stay in registers: no store can alias them.
  const std::uint64_t low_;
  const std::uint64_t high_;
  const std::size_t ip_checksum_;
  const ContextState* const context_;
  const Run run_;
  const std::uint16_t zero_ = opaque(std::uint16_t{0});
};

// A function of its own, so that the compiler keeps all of the loop in registers.
template <bool kClearsIpChecksum>
POLLUX_NOINLINE std::intptr_t send_run(const TxRepeat& repeat, const ContextState* context, const Run& run,
                                       std::intptr_t i) noexcept {
  return RepeatLoop<kClearsIpChecksum>(repeat, context, run).send(i);
}

}  // namespace

POLLUX_ALWAYS_INLINE std::uint32_t TxHotPath::repeated_request(TxQueue& queue, Mbuf* frame) noexcept {
  for (std::uint32_t index = 0; index < TxContexts::kContexts; ++index) {
    const TxRepeat& repeat = queue.contexts_.repeat(index);
    if (is_sendable(frame, repeat, queue.context_.get()) && is_of(repeat, *frame)) return index;
  }
  return TxContexts::kContexts;
}

// Sets RS on the last slot of each group in `first` to `last`, and on `last`.
POLLUX_ALWAYS_INLINE void TxHotPath::report(TxQueue& queue, std::uint32_t first, std::uint32_t last) noexcept {
  for (std::uint32_t slot = first | queue.group_mask_; slot < last; slot += queue.group_mask_ + 1)
    queue.ring_[slot].hi |= tx::kReportStatus;
  queue.ring_[last].hi |= tx::kReportStatus;
}

template <bool kClearsIpChecksum>
POLLUX_NOINLINE std::uint32_t TxHotPath::send_repeats(TxQueue& queue, Mbuf* const* frames, std::uint32_t count,
                                                      RingIndex& next, std::uint32_t index) noexcept {
  const std::uint32_t slot = next.slot(queue.mask_);
  const std::uint32_t run = std::min({queue.mask_ + 1 - slot, count, free_slots(queue, next)});
  if (run == 0) return 0;
  const std::uint32_t end = slot + run;
  const Run slots{.descriptors = queue.ring_ + end, .slots = queue.slots_ + end, .frames = frames + run};
  const TxRepeat& repeat = queue.contexts_.repeat(index);
  const std::intptr_t i =
      send_run<kClearsIpChecksum>(repeat, queue.context_.get(), slots, -static_cast<std::intptr_t>(run));
  const std::uint32_t sent = run + static_cast<std::uint32_t>(i);
  report(queue, slot, slot + sent - 1);
  queue.contexts_.use(index);
  next += sent;
  return sent;
}

std::uint32_t TxHotPath::send_requests(TxQueue& queue, Mbuf* const* frames, std::uint32_t count,
                                       RingIndex& next) noexcept {
  const std::uint32_t index = repeated_request(queue, frames[0]);
  if (index == TxContexts::kContexts) return send_request(queue, frames[0], next) == Outcome::no_room ? 0 : 1;
  return queue.contexts_.repeat(index).ip_checksum != 0 ? send_repeats<true>(queue, frames, count, next, index)
                                                        : send_repeats<false>(queue, frames, count, next, index);
}

// Only a direct mbuf of the cache's pool can become a plain one. SCTP is left out, since its checksum is cleared, too.
void TxHotPath::remember_request(TxQueue& queue, Mbuf& frame, const TxCommand& command) noexcept {
  constexpr std::uint32_t kRepeatable = TxOffload::kChecksums & ~TxOffload::sctp_checksum;
  constexpr std::uint32_t kRequest = std::uint32_t{MbufAccess::kOffload} << MbufAccess::kSpecialShift;
  constexpr std::uint32_t kLength = 0xFFFF;
  const TxOffload& request = MbufAccess::tx_offload(frame);
  const std::uint32_t key = (queue.fast_path_.shortest & ~kLength) | kRequest;
  if ((request.flags & ~kRepeatable) != 0 || (static_cast<std::uint32_t>(MbufAccess::word(frame)) & ~kLength) != key)
    return;
  const std::uint32_t shortest = std::max<std::uint32_t>(command.headers, kMaxPadded + 1);
  if (shortest > queue.max_frame_) return;
  const bool has_ip_checksum = (request.flags & TxOffload::ipv4_checksum) != 0;
  queue.contexts_.remember(
      {.low = request_word(frame, 0),
       .high = request_word(frame, 1),
       .command = kWholeFrame + command.flags + queue.contexts_.select(command) + shortest * kPerByte,
       .per_byte = kPerByte,
       .shortest = key | shortest,
       .max_excess = queue.max_frame_ - shortest,
       .ip_checksum = has_ip_checksum ? request.l3_offset() + kIpChecksumField : 0});
}

}  // namespace pollux::drivers::intel
