// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "pollux/base/api.hpp"

namespace pollux {

class Mbuf;
class RxQueue;
class TxQueue;

/// Observes the frames that a receive queue returns, for example to capture or to count them. `Port::attach_observer`
/// attaches it.
/// Ownership: the program's. It must live until it is detached or the port is closed. Thread rule: `received` is called
/// by the thread that polls the queue. One observer may be attached to several queues, and is then called by the
/// threads of all of them.
class POLLUX_API RxObserver {
 public:
  RxObserver() = default;
  RxObserver(const RxObserver&) = delete;
  RxObserver& operator=(const RxObserver&) = delete;
  virtual ~RxObserver() = default;

  /// A burst is about to return `frames`, at least one. They may be read, copied and cloned, but not changed or
  /// freed. The function must not call the port: see Port's thread rule.
  virtual void received(const RxQueue& queue, std::span<Mbuf* const> frames) noexcept = 0;
  /// A burst found no frames.
  virtual void found_none(const RxQueue& /*queue*/) noexcept {}
  /// The program armed the queue when `read_cycles` was `since`, to sleep until frames arrive. Called before the
  /// `received` or `found_none` of the next burst.
  virtual void slept(const RxQueue& /*queue*/, std::uint64_t /*since*/) noexcept {}
};

/// Observes the frames that a program passes to a transmit queue. The rules of RxObserver apply.
class POLLUX_API TxObserver {
 public:
  TxObserver() = default;
  TxObserver(const TxObserver&) = delete;
  TxObserver& operator=(const TxObserver&) = delete;
  virtual ~TxObserver() = default;

  /// The program gives `frames` to the queue, at least one. The queue may not take all of them. They may be read and
  /// copied, but not changed or freed. A cloned frame is shared, and shared frames are sent on the slow path. Frames
  /// that the queue has taken may be freed at once, so an observer reads here what it needs.
  virtual void sending(const TxQueue& queue, std::span<Mbuf* const> frames) noexcept = 0;
  /// Follows each `sending`: the queue has taken the first `count` of those frames. It may have dropped some of them
  /// and counted them in Stats. The program keeps the others and may send them again.
  virtual void sent(const TxQueue& queue, std::uint32_t count) noexcept = 0;
};

/// The observers of one queue, and the count of its bytes (Settings::count_bytes). A cold member of
/// RxQueue and TxQueue. Thread rule: the control thread changes it while no burst of the
/// queue looks at it. Any thread may call `bytes`.
template <class Function, class Observer>
class QueueObservers {
 public:
  /// Whether no observer is attached.
  [[nodiscard]] bool empty() const noexcept { return observers_.empty(); }
  /// Bytes of the frames in all bursts that were counted, for QueueStats::bytes.
  [[nodiscard]] std::uint64_t bytes() const noexcept { return __atomic_load_n(&bytes_, __ATOMIC_RELAXED); }
  /// Rejects new observers from now on. The error contains `why`, a literal. nullptr allows them again.
  void forbid(const char* why) noexcept { obstacle_ = why; }

 private:
  friend class RxQueue;
  friend class TxQueue;
  friend struct QueueObservation;

  /// Called by the thread that polls the queue.
  void add_bytes(std::uint64_t bytes) noexcept { __atomic_store_n(&bytes_, bytes_ + bytes, __ATOMIC_RELAXED); }

  Function* next_ = nullptr;  // the queue's own burst function, or the one that counts bytes
  Function* own_ = nullptr;   // the queue's own burst function while bytes are counted
  bool counts_bytes_ = false;
  std::uint64_t bytes_ = 0;
  std::uint64_t armed_at_ = 0;  // of a receive queue, by `read_cycles`; 0: not since its last burst
  std::vector<Observer*> observers_;
  const char* obstacle_ = nullptr;
};

/// Those of one queue.
///@{
using RxObservers = QueueObservers<std::uint32_t(RxQueue&, Mbuf**, std::uint32_t) noexcept, RxObserver>;
using TxObservers = QueueObservers<std::uint32_t(TxQueue&, Mbuf* const*, std::uint32_t) noexcept, TxObserver>;
///@}

}  // namespace pollux
