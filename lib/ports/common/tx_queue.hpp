// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>

#include "base/compiler.hpp"
#include "mem/mempool_core.hpp"
#include "mem/ownership.hpp"
#include "pollux/net/tx_queue.hpp"
#include "ports/common/drops.hpp"
#include "ports/common/limits.hpp"

namespace pollux::ports {

struct TxQueueSetup {
  std::shared_ptr<MempoolCacheCore> cache;      ///< null: every buffer goes back to its pool's shared list
  std::shared_ptr<const ContextState> context;  ///< whose mbufs may be sent
};

/// What the transmit queues of all software ports share. A port's own queue derives from it and hands its burst
/// function to the constructor; that function takes no frame further for which `refuse` holds, computes or passes on
/// the checksums that are partial in each other one, ends it with `count_sent` or `drop`, and the burst with
/// `count_taken`. Nothing stays in flight: a frame that was taken is another queue's, in the kernel, in a file or back
/// in its pool when tx_burst returns.
class alignas(64) TxQueue : public pollux::TxQueue {
 public:
  void setup(TxQueueSetup setup);
  /// Lets go of its cache.
  void retire() noexcept;
  void open() noexcept { gate_.open(burst_); }
  /// Error timeout: see BurstGate::close.
  [[nodiscard]] Result<void> close(Clock& clock, Duration limit) { return gate_.close(&idle, clock, limit); }

  [[nodiscard]] Result<void> use_cache(const MempoolCache& cache) override;
  [[nodiscard]] std::uint32_t in_flight() const noexcept override { return 0; }
  /// From any thread.
  [[nodiscard]] TxCounters counters() const noexcept;

 protected:
  explicit TxQueue(BurstFunction* burst) noexcept : burst_(burst) {}
  ~TxQueue() = default;

  /// True if `frame` cannot be sent: then it was counted and given back.
  [[nodiscard]] bool refuse(Mbuf* frame) noexcept {
    // A plain frame of the cache's own pool can only be too short: no segment is too long.
    static_assert(kMaxFrame >= std::numeric_limits<std::uint16_t>::max());
    if (!ownership::kChecked && cache_ != nullptr && cache_->is_direct(*frame) &&
        frame->length() >= kEthernetHeaderBytes) [[likely]] {
      return false;
    }
    return refuse_carefully(frame);
  }
  /// Gives a frame back under the name of a reason.
  void drop(Mbuf& frame, TxDrop why) noexcept;
  /// Counts frames that are sent, `bytes` in all. Whoever has them then gives them back.
  void count_sent(std::uint64_t bytes, std::uint64_t frames = 1) noexcept {
    add_to(counters_.sent, frames);
    add_to(counters_.bytes, bytes);
  }
  /// Counts frames that are not sent and have been given back.
  void count_drops(TxDrop why, std::uint64_t frames) noexcept {
    add_to(counters_.drops[static_cast<std::size_t>(why)], frames);
  }
  /// Counts a frame as sent that was not, after all.
  void count_unsent(std::uint32_t bytes, TxDrop why) noexcept {
    add_to(counters_.sent, ~std::uint64_t{0});
    add_to(counters_.bytes, ~std::uint64_t{bytes} + 1);
    add_to(counters_.drops[static_cast<std::size_t>(why)], std::uint64_t{1});
  }
  void count_taken(std::uint32_t frames) noexcept { add_to(counters_.taken, std::uint64_t{frames}); }
  void give_back(Mbuf& frame) noexcept;

 private:
  static constexpr std::uint32_t kMaxFrame = frame_bytes(kMaxMtu);

  [[nodiscard]] static std::optional<TxDrop> drop_reason(Mbuf& frame, const ContextState* context) noexcept;
  [[nodiscard]] bool refuse_carefully(Mbuf* frame) noexcept;

  BurstFunction* burst_;
  MempoolCacheCore* cache_ = nullptr;
  TxCounters counters_;
  std::shared_ptr<MempoolCacheCore> cache_owner_;
  std::shared_ptr<const ContextState> context_;
};

}  // namespace pollux::ports
