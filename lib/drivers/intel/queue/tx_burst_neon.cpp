// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/queue/neon.hpp"
#include "drivers/intel/queue/simd_loop.hpp"
#include "drivers/intel/queue/tx_burst.hpp"

namespace pollux::drivers::intel {
namespace {

/// Handles four descriptors at a time, as two pairs. `TwoLengths`: see TxFormat.
template <bool TwoLengths>
class NeonTxStep {
 public:
  [[maybe_unused]] static constexpr std::intptr_t kFrames = 4;  // not in checked builds
  static constexpr bool kAligned = false;
  static constexpr bool kEnabled = !ownership::kChecked;

  POLLUX_ALWAYS_INLINE explicit NeonTxStep(const TxFastPath& fast_path) noexcept;
  POLLUX_ALWAYS_INLINE bool operator()(const TxRun& run, std::intptr_t i) const noexcept;

 private:
  static POLLUX_ALWAYS_INLINE uint64x2_t words_of(const Mbuf& first, const Mbuf& second) noexcept {
    return neon::pair(MbufAccess::word(first), MbufAccess::word(second));
  }
  POLLUX_ALWAYS_INLINE void send_pair(const TxRun& run, std::intptr_t i, uint64x2_t words,
                                      uint32x2_t excess) const noexcept;

  /// The fields of TxFastPath, each for two descriptors or four.
  uint64x2_t command_;
  uint32x4_t shortest_, max_excess_;
};

template <bool TwoLengths>
inline NeonTxStep<TwoLengths>::NeonTxStep(const TxFastPath& fast_path) noexcept
    : command_(vdupq_n_u64(fast_path.command)),
      shortest_(vdupq_n_u32(fast_path.shortest)),
      max_excess_(vdupq_n_u32(fast_path.max_excess)) {}

template <bool TwoLengths>
inline void NeonTxStep<TwoLengths>::send_pair(const TxRun& run, std::intptr_t i, uint64x2_t words,
                                              uint32x2_t excess) const noexcept {
  constexpr int kOffset = MbufAccess::kOffsetShift;
  Mbuf* const first = run.frames[i];
  Mbuf* const second = run.frames[i + 1];
  const uint64x2_t offsets = vandq_u64(vshrq_n_u64(words, kOffset), vdupq_n_u64(0xFFFF));
  const uint64x2_t iovas = neon::pair(MbufAccess::iova(*first), MbufAccess::iova(*second));
  const uint64x2_t bytes = vmovl_u32(excess);
  neon::store(run.descriptors + i, vaddq_u64(iovas, offsets),
              vaddq_u64(TwoLengths ? neon::lengths(bytes) : bytes, command_));
  run.slots[i] = first;
  run.slots[i + 1] = second;
}

// Does for four frames what send_fast does for one. Returns false and changes nothing if one needs the slow path.
template <bool TwoLengths>
inline bool NeonTxStep<TwoLengths>::operator()(const TxRun& run, std::intptr_t i) const noexcept {
  Mbuf* const* const frames = run.frames + i;
  const uint64x2_t words = words_of(*frames[0], *frames[1]);
  const uint64x2_t next_words = words_of(*frames[2], *frames[3]);
  const uint32x4_t excess = vsubq_u32(vmovn_high_u64(vmovn_u64(words), next_words), shortest_);
  if (vmaxvq_u32(vcgtq_u32(excess, max_excess_)) != 0) [[unlikely]]
    return false;
  send_pair(run, i, words, vget_low_u32(excess));
  send_pair(run, i + 2, next_words, vget_high_u32(excess));
  return true;
}

template <bool TwoLengths>
struct NeonTxLoop : ScalarTxLoop {
  static POLLUX_ALWAYS_INLINE std::intptr_t send(const TxFastPath& fast_path, const TxRun& run,
                                                 std::intptr_t i) noexcept {
    return simd_loop<NeonTxStep<TwoLengths>, send_next>(fast_path, run, run.descriptors, i);
  }
};

template <bool Remote, bool TwoLengths>
POLLUX_HOT std::uint32_t burst_loop(TxRing& ring, Mbuf* const* mbufs, std::uint32_t count) noexcept {
  return tx_burst_loop<NeonTxLoop<TwoLengths>, Remote, false>(ring, mbufs, count);
}

}  // namespace

pollux::TxQueue::BurstFunction* tx_burst_neon(bool remote, bool two_lengths) noexcept {
  if (two_lengths) {
    return remote ? &tx_burst<burst_loop<true, true>, true, false> : &tx_burst<burst_loop<false, true>, false, false>;
  }
  return remote ? &tx_burst<burst_loop<true, false>, true, false> : &tx_burst<burst_loop<false, false>, false, false>;
}

}  // namespace pollux::drivers::intel
