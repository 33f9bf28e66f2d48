// SPDX-License-Identifier: BSD-3-Clause
// Control of a forward path, its scalar bursts, and the slow path of all its bursts.
#include <fmt/format.h>

#include "drivers/intel/forward/forward_burst.hpp"
#include "mem/context_state.hpp"
#include "mem/ownership.hpp"
#include "net/config_check.hpp"

namespace pollux::drivers::intel {

namespace {

template <bool Remote, bool Usual>
POLLUX_HOT std::uint32_t burst_loop(ForwardQueue& path, ForwardedFrame* frames, std::uint32_t limit) noexcept {
  return forward_burst_loop<NoForwardStep, Remote, Usual>(path, frames, limit);
}

template <bool Remote, bool Usual>
constexpr ForwardPath::BurstFunction* kBurst = &forward_burst<burst_loop<Remote, Usual>, Remote, Usual>;

// Puts a frame's segments into the next slots. The mbufs that were there go to the receive queue's cache, which
// supplied as many for the receive ring. Each segment is detached from its frame, since the next lap uses its buffer
// for another.
void queue_segments(RxRing& rx, TxRing& ring, Mbuf& frame) noexcept {
  const std::uint32_t bytes = frame.packet_length();
  const RingIndex first = ring.next;
  for (Mbuf* segment = &frame; segment != nullptr;) {
    Mbuf* const following = segment->next();
    const std::uint64_t end = following == nullptr ? hw::intel::tx::kEndOfPacket | hw::intel::tx::kReportStatus : 0;
    rx.cache_->free_segment(*ring.slots[ring.next.slot(ring.mask)]);
    put_descriptor(ring, ring.next, hw::intel::tx::data(segment->data_iova(), segment->length(), bytes, end), segment);
    if (ownership::kChecked) static_cast<void>(ownership::mark_free(*segment));
    static_cast<void>(MbufAccess::detach(*segment));
    segment = following;
  }
  move_reports(ring, first, ring.next);
}

bool send_waiting(ForwardQueue& path, ForwardedFrame& frame) noexcept {
  TxRing& ring = *path.tx;
  // At most one lap of the ring: a card that delivers without end must not keep the caller here.
  for (std::uint32_t dropped = 0; dropped <= path.rx->mask; ++dropped) {
    if (path.waiting == nullptr && rx_slow(*path.rx, &path.waiting, 1) == 0) return false;
    Mbuf& next = *path.waiting;
    TxCommand none;  // a received frame has no offload request
    if (std::uint64_t* const counter = tx_drop_counter(ring, next, none)) {
      add_to(ring.packets_, 1);
      path.waiting = nullptr;
      tx_drop(ring, next, *counter);
      continue;
    }
    if (next.segments() > free_slots(ring, ring.next)) tx_reclaim(ring);
    if (next.segments() > free_slots(ring, ring.next)) return false;
    path.waiting = nullptr;
    frame = {next.data(), next.length(), next.packet_length()};
    queue_segments(*path.rx, ring, next);
    add_to(ring.packets_, 1);
    return true;
  }
  return false;
}

/// Disables the fast path while a frame in several buffers is being received or waits to be sent, so that the fast path
/// needs no check of its own. Call it whenever one of the two may have changed.
void update_fast_path(ForwardQueue& path) noexcept {
  constexpr std::uint64_t kBeyondOne = TxRing::kMinFrame - 1;
  path.fast_path.expected = path.waiting != nullptr
                                ? RxRing::kNeverExpected
                                : path.rx->fast_path.expected + (kBeyondOne << hw::intel::rx::kLengthShift);
}

}  // namespace

POLLUX_COLD bool forward_slow(ForwardQueue& path, ForwardedFrame& frame) noexcept {
  const bool moved = send_waiting(path, frame);
  update_fast_path(path);
  return moved;
}

ForwardQueue::ForwardQueue(std::shared_ptr<void> owner_in, IntelRxQueue& in, std::shared_ptr<void> owner_out,
                           IntelTxQueue& out)
    : rx(&in), tx(&out), rx_owner(std::move(owner_in)), tx_owner(std::move(owner_out)) {
  in.set_borrower(*this);
  out.set_borrower(*this, in.pool());
}

ForwardQueue::~ForwardQueue() {
  if (!process_.is_here()) return;
  const auto locks = lock_ports();
  give_back();
}

void ForwardQueue::open() noexcept {
  if (!rx->is_open() || !tx->is_open()) return;
  const MempoolCore& pool = *rx->pool();
  fast_path = {.mask = rx->fast_path.mask,
               .max_excess = std::min(rx->max_length, tx->limits().max_frame) - TxRing::kMinFrame,
               .iova_delta = rx->fast_path.iova_delta,
               .data_delta = Mbuf::kHeaderSize + pool.data_offset(),
               .command = tx->fast_path.command,
               .last_command = tx->fast_path.command + hw::intel::tx::kReportStatus,
               .per_byte = tx->fast_path.per_byte};
  update_fast_path(*this);
  one_by_one_end = tail_;
  doorbell_ = tx->tail;
  const bool remote = rx->tail.is_remote();
  const bool usual = pool.has_one_segment() && tx->group_mask + 1 == TxRing::kGroup;
#if defined(__x86_64__)
  // With AVX-512, too: a loop of its own was no faster (ADR 0006).
  const BurstMode mode = best_of(rx->burst_mode());
  if (usual && (mode == BurstMode::avx2 || mode == BurstMode::avx512)) return gate_.open(forward_burst_avx2(remote));
#endif
  if (remote) return gate_.open(usual ? kBurst<true, true> : kBurst<true, false>);
  gate_.open(usual ? kBurst<false, true> : kBurst<false, false>);
}

std::uint32_t ForwardQueue::drop_waiting(DrainReason reason) noexcept {
  if (waiting == nullptr) return 0;
  add_to(reason == DrainReason::stopped ? tx->drops_.stopped : tx->drops_.removed, 1);
  add_to(tx->packets_, 1);
  const std::uint32_t buffers = waiting->segments();
  MbufDeleter{}(std::exchange(waiting, nullptr));
  return buffers;
}

void ForwardQueue::give_back() noexcept {
  if (rx == nullptr) return;
  // No wait is needed: a path must not be polled while it is destroyed.
  gate_.open(&idle);
  drop_waiting(DrainReason::stopped);
  std::exchange(tx, nullptr)->clear_borrower();
  std::exchange(rx, nullptr)->clear_borrower();
}

Result<std::unique_ptr<ForwardPath>> make_forward_path(QueuePort& in, std::uint16_t rx_queue, PortDriver& out,
                                                       std::uint16_t tx_queue) {
  auto* const to = dynamic_cast<QueuePort*>(&out);
  if (to == nullptr) {
    return fail(ErrorCode::not_supported,
                fmt::format("{}: no forward path to {}, which has another driver", in.info().name, out.info().name),
                "forward with rx_burst and tx_burst, which works between all ports");
  }
  if (!to->queues()->has_advanced_descriptors()) {
    return fail(
        ErrorCode::not_supported,
        fmt::format("{}: no forward path to {}, whose card has other descriptors", in.info().name, out.info().name),
        "forward with rx_burst and tx_burst, which works between all ports");
  }
  if (in.queues()->are_kept() || to->queues()->are_kept()) {
    return fail(ErrorCode::not_supported, fmt::format("{}: no forward path of a port that is kept", in.info().name),
                "open the ports without keep=, or forward with rx_burst and tx_burst");
  }
  const auto refused = [](const PortDriver& port, const char* kind, std::uint16_t index, const char* why,
                          const char* remedy) -> Result<void> {
    return refuse(port.info().name, fmt::format("forward_path: {} queue {} {}", kind, index, why), remedy);
  };
  const auto check = [&](const PortDriver& port, const char* kind, std::uint16_t index, const auto* queue) {
    if (queue == nullptr)
      return refused(port, kind, index, "does not exist", "configure more queues, or use a lower queue index");
    if (queue->is_borrowed())
      return refused(port, kind, index, "already has a path", "destroy that path first, or use another queue");
    if (queue->is_observed())
      return refused(port, kind, index, "has an observer", "detach it first: it would see no frames of the path");
    return Result<void>();
  };
  IntelRxQueue* const rx = in.queues()->rx(rx_queue);
  IntelTxQueue* const tx = to->queues()->tx(tx_queue);
  if (auto joins = check(in, "receive", rx_queue, rx); !joins) return pass_on(std::move(joins));
  if (const char* const setting = rx->needs_polling(); setting != nullptr) {
    return pass_on(refused(in, "receive", rx_queue, setting,
                           "configure the queue without it: a forward path only exchanges buffers between rings"));
  }
  if (auto joins = check(out, "transmit", tx_queue, tx); !joins) return pass_on(std::move(joins));
  return std::make_unique<ForwardQueue>(in.queues(), *rx, to->queues(), *tx);
}

}  // namespace pollux::drivers::intel
