// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>

#include "base/compiler.hpp"
#include "mem/mempool_core.hpp"
#include "pollux/net/rx_queue.hpp"
#include "ports/common/drops.hpp"
#include "ports/common/rx_filter.hpp"
#include "ports/common/wake_event.hpp"

namespace pollux::ports {

struct RxQueueSetup {
  std::shared_ptr<MempoolCore> pool;
  std::shared_ptr<MempoolCacheCore> cache;  ///< a cache of `pool`
  std::uint16_t port = 0;                   ///< Mbuf::port() of received frames
};

/// Base class of the receive queues of software ports: mbuf allocation, filtering and counting. A derived queue passes
/// its burst function to the constructor. That function gets mbufs from `copy` or `allocate`, calls `admit` for every
/// frame and `count_handed_out` at its end. The derived queue also implements `watch`.
class alignas(64) RxQueue : public pollux::RxQueue {
 public:
  /// The following are called on the control path. All except `close` need the gate closed.
  void setup(RxQueueSetup setup);
  /// Releases pool and cache.
  void retire() noexcept;
  void open() noexcept;
  /// Error timeout: see BurstGate::close.
  [[nodiscard]] Result<void> close(Clock& clock, Duration limit);

  [[nodiscard]] int event_fd() const override { return wake_->descriptor(); }
  [[nodiscard]] bool arm() noexcept final;
  void disarm() noexcept final;

  [[nodiscard]] Result<void> use_cache(const MempoolCache& cache) override;
  /// Bytes of bursts that were counted (PortConfig::count_bytes). Any thread may call it.
  [[nodiscard]] std::uint64_t bytes() const noexcept { return observers_.bytes(); }
  /// May be called from any thread.
  [[nodiscard]] RxCounters counters() const noexcept;
  /// Counts a received frame as dropped. Call it with the gate closed or on the polling thread.
  void drop(RxDrop why, const std::uint8_t* destination, std::uint32_t bytes) noexcept;

 protected:
  /// `wake`: the event for which a sleeping thread waits.
  RxQueue(BurstFunction* burst, const RxFilter& filter,
          std::shared_ptr<WakeEvent> wake = std::make_shared<WakeEvent>()) noexcept
      : burst_(burst), filter_(filter), wake_(std::move(wake)) {}
  ~RxQueue() override = default;

  /// Returns true if no frame waits; `wake` then becomes readable when one arrives. False: poll again. Called inside
  /// the gate, as a burst is.
  [[nodiscard]] virtual bool watch() noexcept = 0;
  /// Ends what `watch` began. Called by the polling thread.
  virtual void unwatch() noexcept {}

  /// Allocates an empty mbuf with this port as its origin. If the pool is exhausted, returns nullptr and counts an
  /// allocation failure at the pool.
  [[nodiscard]] Mbuf* allocate() noexcept;
  /// Allocates a chain of empty mbufs for `bytes`. Fails as `allocate` does, with an empty pointer.
  [[nodiscard]] MbufPtr allocate_chain(std::uint32_t bytes) noexcept;
  /// Copies bytes to newly allocated mbufs. Fails as `allocate` does, with an empty pointer.
  [[nodiscard]] MbufPtr copy(std::span<const std::uint8_t> bytes) noexcept;
  /// Copies another frame with its offload request, timestamp and application field. Fails as `allocate` does.
  [[nodiscard]] MbufPtr copy(const Mbuf& frame) noexcept;
  void give_back(Mbuf& frame) noexcept { cache_->free(frame); }
  /// Marks a frame that another port allocated as received by this port.
  void mark(Mbuf& frame) const noexcept { MbufAccess::set_port(frame, port_); }

  /// Filters and counts a frame of `bytes` bytes; its first six bytes are at `destination`. Returns false if the frame
  /// was counted as dropped; the caller then frees it.
  [[nodiscard]] bool admit(const std::uint8_t* destination, std::uint32_t bytes) noexcept {
    if (const auto why = filter_.drop_reason(destination, bytes)) {
      drop(*why, destination, bytes);
      return false;
    }
    count_arrival(destination, bytes);
    return true;
  }
  void count_arrival(const std::uint8_t* destination, std::uint32_t bytes) noexcept {
    add_to(counters_.packets, std::uint64_t{1});
    add_to(counters_.bytes, std::uint64_t{bytes});
    if (RxFilter::is_multicast(destination)) add_to(counters_.multicast, std::uint64_t{1});
  }
  /// Counts frames that are no multicasts, `bytes` in total.
  void count_arrivals(std::uint64_t frames, std::uint64_t bytes) noexcept {
    add_to(counters_.packets, frames);
    add_to(counters_.bytes, bytes);
  }
  void count_error() noexcept { add_to(counters_.errors, std::uint64_t{1}); }
  void count_handed_out(std::uint32_t frames) noexcept { add_to(counters_.handed_out, std::uint64_t{frames}); }
  [[nodiscard]] const RxFilter& filter() const noexcept { return filter_; }
  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

 private:
  [[nodiscard]] RxObservers* observers() noexcept override { return &observers_; }
  /// Wakes a sleeping thread, because the port's state has changed. Called by the control thread.
  void notify_change() noexcept;

  BurstFunction* burst_;
  const RxFilter& filter_;
  MempoolCacheCore* cache_ = nullptr;
  std::uint64_t empty_word_ = 0;  // word of an empty mbuf with this port as its origin
  std::uint16_t port_ = Mbuf::kNoPort;
  std::uint32_t room_ = 0;  // frame bytes that fit in an empty mbuf
  RxCounters counters_;
  std::shared_ptr<MempoolCore> pool_;
  std::shared_ptr<MempoolCacheCore> cache_owner_;
  std::shared_ptr<WakeEvent> wake_;
  RxObservers observers_;
  std::atomic<bool> has_changed_{false};  // the port's state has changed since the last `arm`
};

}  // namespace pollux::ports
