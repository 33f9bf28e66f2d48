// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "base/compiler.hpp"
#include "mem/mempool_core.hpp"
#include "pollux/net/rx_queue.hpp"
#include "ports/common/drops.hpp"
#include "ports/common/rx_rules.hpp"

namespace pollux::ports {

struct RxQueueSetup {
  std::shared_ptr<MempoolCore> pool;
  std::shared_ptr<MempoolCacheCore> cache;  ///< of `pool`
  std::uint16_t port = 0;                   ///< Mbuf::port() of what is received
};

/// What the receive queues of all software ports share: mbufs, judgement, counting. A port's own queue derives from it
/// and hands its burst function to the constructor; that function gets mbufs with `copy` or `allocate`, shows every
/// frame to `admit`, and ends with `count_handed_out`.
class alignas(64) RxQueue : public pollux::RxQueue {
 public:
  /// Control path. All but `close` need the gate closed.
  void setup(RxQueueSetup setup);
  /// Lets go of pool and cache.
  void retire() noexcept;
  void open() noexcept { gate_.open(burst_); }
  /// Error timeout: see BurstGate::close.
  [[nodiscard]] Result<void> close(Clock& clock, Duration limit) { return gate_.close(&idle, clock, limit); }

  [[nodiscard]] Result<void> use_cache(const MempoolCache& cache) override;
  /// From any thread.
  [[nodiscard]] RxCounters counters() const noexcept;
  /// Counts a frame that arrived and is dropped. With the gate closed, or from the polling thread.
  void drop(RxDrop why, const std::uint8_t* destination, std::uint32_t bytes) noexcept;

 protected:
  RxQueue(BurstFunction* burst, const RxRules& rules) noexcept : burst_(burst), rules_(rules) {}
  ~RxQueue() = default;

  /// An empty mbuf of the pool as one that this port received; nullptr, counted at the pool, if it is dry.
  [[nodiscard]] Mbuf* allocate() noexcept;
  /// A chain of as many mbufs as `bytes` need, all empty; empty pointer, counted at the pool, if it is dry.
  [[nodiscard]] MbufPtr allocate_chain(std::uint32_t bytes) noexcept;
  /// The bytes in mbufs; empty pointer, counted at the pool, if it is dry.
  [[nodiscard]] MbufPtr copy(std::span<const std::uint8_t> bytes) noexcept;
  /// The same of another mbuf's bytes, with its request, timestamp and the application's field.
  [[nodiscard]] MbufPtr copy(const Mbuf& frame) noexcept;
  void give_back(Mbuf& frame) noexcept { cache_->free(frame); }
  /// Marks a frame that somebody else allocated as received by this port.
  void mark(Mbuf& frame) const noexcept {
    constexpr std::uint64_t kOrigin = std::uint64_t{0xFFFF} << MbufAccess::kOriginShift;
    MbufAccess::set_word(frame, (MbufAccess::word(frame) & ~kOrigin) | (empty_word_ & kOrigin));
  }

  /// Counts an arrived frame, `bytes` long, of which at least six lie at `destination`. False if it is to be dropped.
  [[nodiscard]] bool admit(const std::uint8_t* destination, std::uint32_t bytes) noexcept {
    if (const auto why = rules_.drop_reason(destination, bytes)) {
      drop(*why, destination, bytes);
      return false;
    }
    count_arrival(destination, bytes);
    return true;
  }
  void count_arrival(const std::uint8_t* destination, std::uint32_t bytes) noexcept {
    add_to(counters_.packets, std::uint64_t{1});
    add_to(counters_.bytes, std::uint64_t{bytes});
    if (RxRules::is_multicast(destination)) add_to(counters_.multicast, std::uint64_t{1});
  }
  void count_error() noexcept { add_to(counters_.errors, std::uint64_t{1}); }
  void count_handed_out(std::uint32_t frames) noexcept { add_to(counters_.handed_out, std::uint64_t{frames}); }
  [[nodiscard]] const RxRules& rules() const noexcept { return rules_; }

 private:
  BurstFunction* burst_;
  const RxRules& rules_;
  MempoolCacheCore* cache_ = nullptr;
  std::uint64_t empty_word_ = 0;  // Mbuf's word of an empty mbuf that this port received
  std::uint32_t room_ = 0;        // bytes of a frame that an empty mbuf takes
  RxCounters counters_;
  std::shared_ptr<MempoolCore> pool_;
  std::shared_ptr<MempoolCacheCore> cache_owner_;
};

}  // namespace pollux::ports
