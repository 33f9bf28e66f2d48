// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/forward/forward_burst.hpp"
#include "drivers/intel/queue/neon.hpp"
#include "drivers/intel/queue/simd_loop.hpp"

namespace pollux::drivers::intel {
namespace {

/// Handles four receive descriptors at a time, as two pairs.
class NeonForwardStep {
 public:
  static constexpr std::intptr_t kFrames = 4;
  static constexpr bool kAligned = false;
  static constexpr bool kEnabled = true;

  POLLUX_ALWAYS_INLINE explicit NeonForwardStep(const ForwardFastPath& fast_path) noexcept;
  POLLUX_ALWAYS_INLINE bool operator()(const ForwardRun& run, std::intptr_t i) const noexcept;

 private:
  POLLUX_ALWAYS_INLINE ForwardedFrame frame_of(Mbuf* received, std::uint64_t excess) const noexcept {
    const auto length = static_cast<std::uint32_t>(excess) + TxQueue::kMinFrame;
    return {reinterpret_cast<std::uint8_t*>(received) + data_delta_, length, length};
  }
  POLLUX_ALWAYS_INLINE void move_pair(const ForwardRun& run, std::intptr_t i, uint64x2_t excess) const noexcept;

  /// The fields of ForwardFastPath, the vectors for two descriptors each.
  uint64x2_t mask_, expected_, max_excess_, iova_delta_, command_;
  std::uint64_t data_delta_;
};

inline NeonForwardStep::NeonForwardStep(const ForwardFastPath& fast_path) noexcept
    : mask_(vdupq_n_u64(fast_path.mask)),
      expected_(vdupq_n_u64(fast_path.expected)),
      max_excess_(vdupq_n_u64(fast_path.max_excess)),
      iova_delta_(vdupq_n_u64(fast_path.iova_delta)),
      command_(vdupq_n_u64(fast_path.command)),
      data_delta_(fast_path.data_delta) {}

inline void NeonForwardStep::move_pair(const ForwardRun& run, std::intptr_t i, uint64x2_t excess) const noexcept {
  Mbuf* const first = run.rx_slots[i];
  Mbuf* const second = run.rx_slots[i + 1];
  Mbuf* const spare = run.tx_slots[i];
  Mbuf* const next_spare = run.tx_slots[i + 1];
  run.rx_slots[i] = spare;
  run.rx_slots[i + 1] = next_spare;
  run.tx_slots[i] = first;
  run.tx_slots[i + 1] = second;
  const uint64x2_t armed = vaddq_u64(neon::pair(spare, next_spare), iova_delta_);
  const uint64x2_t sent = vaddq_u64(neon::pair(first, second), iova_delta_);
  neon::store(run.rx_descriptors + i, armed, vdupq_n_u64(0));
  neon::store(run.tx_descriptors + i, sent, vaddq_u64(neon::lengths(excess), command_));
  run.frames[i] = frame_of(first, vgetq_lane_u64(excess, 0));
  run.frames[i + 1] = frame_of(second, vgetq_lane_u64(excess, 1));
}

// Does for four frames what move_fast does for one. Returns false and changes nothing if one needs the slow path.
// Of a write-back only the status word is needed. It is read once.
inline bool NeonForwardStep::operator()(const ForwardRun& run, std::intptr_t i) const noexcept {
  const hw::intel::Descriptor* const descriptors = run.rx_descriptors + i;
  const uint64x2_t status = neon::load(descriptors[0].hi, descriptors[1].hi);
  const uint64x2_t next_status = neon::load(descriptors[2].hi, descriptors[3].hi);
  const uint64x2_t excess = neon::excess_of(status, mask_, expected_);
  const uint64x2_t next_excess = neon::excess_of(next_status, mask_, expected_);
  if (neon::any_above(excess, next_excess, max_excess_)) [[unlikely]]
    return false;
  __atomic_thread_fence(__ATOMIC_ACQUIRE);  // for a card that is a thread of this process
  io::dma_rmb();
  move_pair(run, i, excess);
  move_pair(run, i + 2, next_excess);
  for (std::intptr_t k = 0; k < kFrames; ++k) prefetch_frame(run.rx_slots[i + k + RxHotPath::kPrefetchDistance]);
  return true;
}

struct NeonForwardLoop {
  static POLLUX_ALWAYS_INLINE std::intptr_t move(const ForwardFastPath& fast_path, const ForwardRun& run,
                                                 std::intptr_t i) noexcept {
    return simd_loop<NeonForwardStep, move_next<true>>(fast_path, run, run.rx_descriptors, i);
  }
};

template <bool Remote>
POLLUX_HOT std::uint32_t burst_loop(ForwardQueue& path, ForwardedFrame* frames, std::uint32_t limit) noexcept {
  return ForwardHotPath::burst_loop<NeonForwardLoop, Remote, false>(path, frames, limit);
}

template <bool Remote>
POLLUX_HOT std::uint32_t burst(ForwardPath& path, ForwardedFrame* frames, std::uint32_t limit) noexcept {
  return ForwardHotPath::burst<burst_loop<Remote>, Remote, false, true>(path, frames, limit);
}

}  // namespace

ForwardPath::BurstFunction* forward_burst_neon(bool remote) noexcept { return remote ? &burst<true> : &burst<false>; }

}  // namespace pollux::drivers::intel
