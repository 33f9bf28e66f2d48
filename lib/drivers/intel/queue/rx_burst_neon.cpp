// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/queue/neon.hpp"
#include "drivers/intel/queue/rx_burst.hpp"
#include "drivers/intel/queue/simd_loop.hpp"

namespace pollux::drivers::intel {
namespace {

/// Handles four descriptors at a time, as two pairs.
class NeonRxStep {
 public:
  static constexpr std::intptr_t kFrames = 4;
  static constexpr bool kAligned = false;
  static constexpr bool kEnabled = true;

  POLLUX_ALWAYS_INLINE explicit NeonRxStep(const RxFastPath& fast_path) noexcept;
  POLLUX_ALWAYS_INLINE bool operator()(const RxRun& run, std::intptr_t i) const noexcept;

 private:
  POLLUX_ALWAYS_INLINE void take_pair(const RxRun& run, std::intptr_t i, uint64x2_t status,
                                      uint64x2_t excess) const noexcept;

  /// The fields of RxFastPath, each for two descriptors.
  uint64x2_t mask_, expected_, max_excess_, one_byte_word_, iova_delta_;
};

inline NeonRxStep::NeonRxStep(const RxFastPath& fast_path) noexcept
    : mask_(vdupq_n_u64(fast_path.mask)),
      expected_(vdupq_n_u64(fast_path.expected)),
      max_excess_(vdupq_n_u64(fast_path.max_excess)),
      one_byte_word_(vdupq_n_u64(fast_path.one_byte_word)),
      iova_delta_(vdupq_n_u64(fast_path.iova_delta)) {}

inline void NeonRxStep::take_pair(const RxRun& run, std::intptr_t i, uint64x2_t status,
                                  uint64x2_t excess) const noexcept {
  hw::intel::Descriptor* const descriptors = run.descriptors + i;
  const uint64x2_t low = neon::load(descriptors[0].lo, descriptors[1].lo);
  Mbuf* const first = run.slots[i];
  Mbuf* const second = run.slots[i + 1];
  Mbuf* const fresh = run.fresh[i];
  Mbuf* const next_fresh = run.fresh[i + 1];
  vst1q_u64(&MbufAccess::rx_low(*first), vzip1q_u64(low, status));  // writes rx_low and rx_high
  vst1q_u64(&MbufAccess::rx_low(*second), vzip2q_u64(low, status));
  const uint64x2_t words = vaddq_u64(excess, one_byte_word_);
  MbufAccess::set_word(*first, vgetq_lane_u64(words, 0));
  MbufAccess::set_word(*second, vgetq_lane_u64(words, 1));
  run.out[i] = first;
  run.out[i + 1] = second;
  run.slots[i] = fresh;
  run.slots[i + 1] = next_fresh;
  neon::store(descriptors, vaddq_u64(neon::pair(fresh, next_fresh), iova_delta_), vdupq_n_u64(0));
}

// Does for four frames what take_fast does for one. Returns false and changes nothing if one needs the slow path.
// A 16-byte load may read its halves in any order. So the status words are read first and the low words after a
// barrier, each once.
inline bool NeonRxStep::operator()(const RxRun& run, std::intptr_t i) const noexcept {
  const hw::intel::Descriptor* const descriptors = run.descriptors + i;
  const uint64x2_t status = neon::load(descriptors[0].hi, descriptors[1].hi);
  const uint64x2_t next_status = neon::load(descriptors[2].hi, descriptors[3].hi);
  const uint64x2_t excess = neon::excess_of(status, mask_, expected_);
  const uint64x2_t next_excess = neon::excess_of(next_status, mask_, expected_);
  if (neon::any_above(excess, next_excess, max_excess_)) [[unlikely]]
    return false;
  __atomic_thread_fence(__ATOMIC_ACQUIRE);  // for a card that is a thread of this process
  io::dma_rmb();
  take_pair(run, i, status, excess);
  take_pair(run, i + 2, next_status, next_excess);
  for (std::intptr_t k = 0; k < kFrames; ++k) prefetch_frame(run.slots[i + k + RxRing::kPrefetchDistance]);
  return true;
}

struct NeonRxLoop {
  static POLLUX_ALWAYS_INLINE std::intptr_t take(const RxFastPath& fast_path, const RxRun& run,
                                                 std::intptr_t i) noexcept {
    return simd_loop<NeonRxStep, take_next<true>>(fast_path, run, run.descriptors, i);
  }
};

template <bool Remote>
POLLUX_HOT std::uint32_t burst_loop(RxRing& ring, Mbuf** out, std::uint32_t limit) noexcept {
  return rx_burst_loop<NeonRxLoop, Remote, true>(ring, out, limit);
}

}  // namespace

pollux::RxQueue::BurstFunction* rx_burst_neon(bool remote) noexcept {
  return remote ? &rx_burst<burst_loop<true>, true, true> : &rx_burst<burst_loop<false>, false, true>;
}

}  // namespace pollux::drivers::intel
