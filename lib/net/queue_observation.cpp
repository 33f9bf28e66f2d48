// SPDX-License-Identifier: BSD-3-Clause
#include "net/queue_observation.hpp"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <utility>

#include <fmt/format.h>

#include "pollux/base/cycle_counter.hpp"
#include "pollux/net/burst_gate.hpp"

namespace pollux {

void barrier_on_all_threads(Clock& clock) {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  // The registration may be repeated and is cheap (membarrier(2)), so no state records it.
  if (::syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0 &&
      ::syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0) {
    return;
  }
  clock.for_threads().sleep_for(std::chrono::milliseconds(1));
}

namespace {

constexpr Site kObserverSite{"a queue's observer", 0};

}  // namespace

void RxQueue::note_armed() noexcept { observers_.armed_at_ = read_cycles(); }

std::uint32_t RxQueue::burst_observed(RxQueue& queue, Mbuf** out, std::uint32_t limit) noexcept {
  RxObservers& all = queue.observers_;
  const std::uint32_t count = all.next_(queue, out, limit);
  if (const std::uint64_t since = std::exchange(all.armed_at_, 0); since != 0) {
    for (RxObserver* const observer : all.observers_) observer->slept(queue, since);
  }
  if (count == 0) {
    for (RxObserver* const observer : all.observers_) observer->found_none(queue);
    return 0;
  }
  for (std::uint32_t i = 0; i < count; ++i) {
    for (Mbuf* segment = out[i]; segment != nullptr; segment = segment->next())
      MbufAccess::stamp(*segment, kObserverSite);
  }
  for (RxObserver* const observer : all.observers_) observer->received(queue, {out, count});
  return count;
}

std::uint32_t TxQueue::burst_observed(TxQueue& queue, Mbuf* const* mbufs, std::uint32_t count) noexcept {
  const TxObservers& all = queue.observers_;
  if (count == 0) return all.next_(queue, mbufs, count);
  for (TxObserver* const observer : all.observers_) observer->sending(queue, {mbufs, count});
  const std::uint32_t taken = all.next_(queue, mbufs, count);
  for (TxObserver* const observer : all.observers_) observer->sent(queue, taken);
  return taken;
}

std::uint32_t RxQueue::burst_counted(RxQueue& queue, Mbuf** out, std::uint32_t limit) noexcept {
  RxObservers& all = queue.observers_;
  const std::uint32_t count = all.own_(queue, out, limit);
  std::uint64_t bytes = 0;
  for (std::uint32_t i = 0; i < count; ++i) bytes += out[i]->packet_length();
  all.add_bytes(bytes);
  return count;
}

// The queue may free the frames that it takes, so their lengths are read before. Those that it leaves are subtracted.
std::uint32_t TxQueue::burst_counted(TxQueue& queue, Mbuf* const* mbufs, std::uint32_t count) noexcept {
  TxObservers& all = queue.observers_;
  std::uint64_t bytes = 0;
  for (std::uint32_t i = 0; i < count; ++i) bytes += mbufs[i]->packet_length();
  const std::uint32_t taken = all.own_(queue, mbufs, count);
  for (std::uint32_t i = taken; i < count; ++i) bytes -= mbufs[i]->packet_length();
  all.add_bytes(bytes);
  return taken;
}

// Observers are called after the frames were counted. Nothing is between the gate and a queue that has neither.
void RxQueue::open_bursts(BurstFunction* function) noexcept {
  gate_.open(QueueObservation::through(observers_, function, &burst_counted, &burst_observed));
}

void TxQueue::open_bursts(BurstFunction* function) noexcept {
  gate_.open(QueueObservation::through(observers_, function, &burst_counted, &burst_observed));
}

template <class Queue, class Change>
Result<void> QueueObservation::change(Queue& queue, std::string_view port, Clock& clock, Duration limit,
                                      Change&& apply) {
  auto* const before = queue.gate_.current();
  auto& all = queue.observers_;
  // Meanwhile bursts go past the observers. They must not be empty: a program may drop frames that a queue does not
  // take.
  auto* const unobserved = before == &Queue::burst_observed ? all.next_ : before;
  if (auto left = queue.gate_.close(unobserved, clock, limit); !left) {
    queue.gate_.open(before);
    return fail(left.error().code, fmt::format("{}: {}", port, left.error().what),
                "nothing was changed; let the polling thread finish its burst, then call again");
  }
  auto* const own = unobserved == &Queue::burst_counted ? all.own_ : unobserved;
  apply();
  if (own != &Queue::idle) queue.open_bursts(own);
  return {};
}

template <class Queue, class Observer>
Result<void> QueueObservation::attach_to(Queue& queue, Observer& observer, std::string_view port, Clock& clock,
                                         Duration limit) {
  auto& all = queue.observers_;
  if (all.obstacle_ != nullptr) {
    return fail(ErrorCode::busy, fmt::format("{}: the queue cannot be observed: {}", port, all.obstacle_),
                "destroy the forward path first, and forward with rx_burst and tx_burst");
  }
  // Nothing may fail while bursts go past the observers. Until then a poller reads the current list.
  auto list = all.observers_;
  if (std::find(list.begin(), list.end(), &observer) != list.end()) {
    return fail(ErrorCode::busy, fmt::format("{}: the observer is attached to this queue already", port),
                "detach it first");
  }
  list.push_back(&observer);
  return change(queue, port, clock, limit, [&] { all.observers_.swap(list); });
}

template <class Queue, class Observer>
Result<void> QueueObservation::detach_from(Queue& queue, Observer& observer, std::string_view port, Clock& clock,
                                           Duration limit) {
  auto& all = queue.observers_;
  if (std::find(all.observers_.begin(), all.observers_.end(), &observer) == all.observers_.end()) {
    return fail(ErrorCode::not_found, fmt::format("{}: the observer is not attached to this queue", port),
                "name the queue that it was attached to; closing the port, and configuring it with fewer queues, "
                "detaches, too");
  }
  return change(queue, port, clock, limit, [&] { std::erase(all.observers_, &observer); });
}

Result<void> QueueObservation::attach(RxQueue& queue, RxObserver& observer, std::string_view port, Clock& clock,
                                      Duration limit) {
  return attach_to(queue, observer, port, clock, limit);
}

Result<void> QueueObservation::attach(TxQueue& queue, TxObserver& observer, std::string_view port, Clock& clock,
                                      Duration limit) {
  return attach_to(queue, observer, port, clock, limit);
}

Result<void> QueueObservation::detach(RxQueue& queue, RxObserver& observer, std::string_view port, Clock& clock,
                                      Duration limit) {
  return detach_from(queue, observer, port, clock, limit);
}

Result<void> QueueObservation::detach(TxQueue& queue, TxObserver& observer, std::string_view port, Clock& clock,
                                      Duration limit) {
  return detach_from(queue, observer, port, clock, limit);
}

}  // namespace pollux
