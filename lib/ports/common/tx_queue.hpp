// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>

#include "base/compiler.hpp"
#include "mem/direct_word.hpp"
#include "mem/mempool_core.hpp"
#include "mem/ownership.hpp"
#include "pollux/net/tx_queue.hpp"
#include "ports/common/drops.hpp"
#include "ports/common/limits.hpp"

namespace pollux::ports {

struct TxQueueSetup {
  std::shared_ptr<MempoolCacheCore> cache;      ///< null: buffers are freed to the shared list of their pool
  std::shared_ptr<const ContextState> context;  ///< the Context to which mbufs must belong
};

/// Base class of the transmit queues of software ports. A derived queue passes its burst function to the constructor.
/// That function skips each frame for which `reject` returns true. For each other frame it computes or forwards partial
/// checksums and calls `count_sent` or `drop`. At its end it calls `count_taken`. Nothing stays in flight: when
/// tx_burst returns, each accepted frame is in another queue, the kernel, a file or its pool.
class alignas(64) TxQueue : public pollux::TxQueue {
 public:
  void setup(TxQueueSetup setup);
  /// Releases its cache.
  void retire() noexcept;
  void open() noexcept { open_bursts(burst_); }
  /// Error timeout: see BurstGate::close.
  [[nodiscard]] Result<void> close(Clock& clock, Duration limit) { return gate_.close(&idle, clock, limit); }

  [[nodiscard]] Result<void> use_cache(const MempoolCache& cache) override;
  [[nodiscard]] std::uint32_t in_flight() const noexcept override { return 0; }
  /// Bytes of bursts that were counted (PortConfig::count_bytes). Any thread may call it.
  [[nodiscard]] std::uint64_t bytes() const noexcept { return observers_.bytes(); }
  /// May be called from any thread.
  [[nodiscard]] TxCounters counters() const noexcept;

 protected:
  static constexpr std::uint32_t kSegmentation = TxOffload::tcp_segmentation | TxOffload::udp_segmentation;

  /// `offloads`: the TxOffload flags that a frame may request.
  explicit TxQueue(BurstFunction* burst, std::uint32_t offloads = TxOffload::kChecksums) noexcept
      : burst_(burst), offloads_(offloads) {}
  ~TxQueue() override = default;

  /// Returns true if `frame` cannot be sent. It has then been counted and freed.
  [[nodiscard]] bool reject(Mbuf* frame) noexcept {
    // The only check that a direct, single-segment mbuf of the cache's pool needs is the minimum length.
    static_assert(kMaxFrame >= std::numeric_limits<std::uint16_t>::max());
    if (!ownership::kChecked && cache_ != nullptr && cache_->is_direct(*frame) &&
        frame->length() >= kEthernetHeaderBytes) [[likely]] {
      return false;
    }
    return reject_slow(frame);
  }
  /// Frames that can be sent as they are, and the sum of their lengths.
  struct PlainRun {
    std::uint32_t frames = 0;
    std::uint64_t bytes = 0;
  };
  /// The frames at the front of `frames`, at most `most`, that are direct, single-segment mbufs of the cache's pool,
  /// and long enough.
  [[nodiscard]] POLLUX_ALWAYS_INLINE PlainRun plain_run(Mbuf* const* frames, std::uint32_t most) const noexcept {
    // As on cards' fast path, one comparison covers length, pool and `special`.
    constexpr std::uint32_t kMaxExcess = std::numeric_limits<std::uint16_t>::max() - kEthernetHeaderBytes;
    const std::uint32_t shortest = shortest_;
    std::uint64_t bytes = 0;
    // Frames are counted by the pointer: a counter beside it would take another register, and an instruction a frame.
    Mbuf* const* at = frames;
    for (Mbuf* const* const end = frames + most; at != end; ++at) {
      Mbuf* const frame = *at;
      if (ownership::kChecked && (frame == nullptr || !ownership::is_allocated(*frame, context_.get()))) break;
      const std::uint32_t excess = static_cast<std::uint32_t>(MbufAccess::word(*frame)) - shortest;
      if (excess > kMaxExcess) break;
      bytes += excess;
    }
    const auto count = static_cast<std::uint32_t>(at - frames);
    return {.frames = count, .bytes = bytes + std::uint64_t{count} * kEthernetHeaderBytes};
  }
  /// Counts a frame as dropped and frees it.
  void drop(Mbuf& frame, TxDrop why) noexcept;
  /// Counts frames as sent, with `bytes` in total. Does not free them.
  void count_sent(std::uint64_t bytes, std::uint64_t frames = 1) noexcept {
    add_to(counters_.sent, frames);
    add_to(counters_.bytes, bytes);
  }
  /// Counts frames as dropped that have already been freed.
  void count_drops(TxDrop why, std::uint64_t frames) noexcept {
    add_to(counters_.drops[static_cast<std::size_t>(why)], frames);
  }
  /// Changes the count of a frame from sent to dropped.
  void count_unsent(std::uint32_t bytes, TxDrop why) noexcept {
    add_to(counters_.sent, ~std::uint64_t{0});
    add_to(counters_.bytes, ~std::uint64_t{bytes} + 1);
    add_to(counters_.drops[static_cast<std::size_t>(why)], std::uint64_t{1});
  }
  void count_taken(std::uint32_t frames) noexcept { add_to(counters_.taken, std::uint64_t{frames}); }
  void give_back(Mbuf& frame) noexcept;

 private:
  [[nodiscard]] TxObservers* observers() noexcept override { return &observers_; }
  static constexpr std::uint32_t kMaxFrame = frame_bytes(kMaxMtu);

  [[nodiscard]] std::optional<TxDrop> drop_reason(Mbuf& frame) const noexcept;
  [[nodiscard]] bool reject_slow(Mbuf* frame) noexcept;

  void set_cache(std::shared_ptr<MempoolCacheCore> cache) noexcept;

  BurstFunction* burst_;
  std::uint32_t offloads_;
  MempoolCacheCore* cache_ = nullptr;
  std::uint32_t shortest_ = direct_word(nullptr, 0);  // length, pool and `special` of the shortest plain frame
  TxCounters counters_;
  std::shared_ptr<MempoolCacheCore> cache_owner_;
  std::shared_ptr<const ContextState> context_;
  TxObservers observers_;
};

}  // namespace pollux::ports
