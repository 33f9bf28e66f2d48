// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/queue/neon.hpp"
#include "drivers/intel/queue/rx_burst.hpp"

namespace pollux::drivers::intel {
namespace {

/// Four descriptors at a time, as two pairs.
struct NeonRxLoop {
  static constexpr std::intptr_t kStep = 4;

  /// RxRule, twice side by side.
  struct Constants {
    uint64x2_t inspected, wanted, span, one_byte_word, iova_delta;
  };
  static POLLUX_ALWAYS_INLINE void take_pair(const Constants& constants, const RxRun& run, std::intptr_t i,
                                             uint64x2_t status, uint64x2_t beyond) noexcept;
  static POLLUX_ALWAYS_INLINE bool take_four(const Constants& constants, const RxRun& run, std::intptr_t i) noexcept;

  static POLLUX_ALWAYS_INLINE std::intptr_t take(const RxRule& rule, const RxRun& run, std::intptr_t i) noexcept {
    const Constants constants = {.inspected = vdupq_n_u64(rule.inspected),
                                 .wanted = vdupq_n_u64(rule.wanted),
                                 .span = vdupq_n_u64(rule.span),
                                 .one_byte_word = vdupq_n_u64(rule.one_byte_word),
                                 .iova_delta = vdupq_n_u64(rule.iova_delta)};
    while (i <= -kStep && take_four(constants, run, i)) i += kStep;
    // What is left of the run, or the four in which something is not plain.
    while (i != 0 && take_next<true>(rule, run, i)) ++i;
    return i;
  }
};

inline void NeonRxLoop::take_pair(const Constants& constants, const RxRun& run, std::intptr_t i, uint64x2_t status,
                                  uint64x2_t beyond) noexcept {
  hw::intel::Descriptor* const descriptors = run.descriptors + i;
  const uint64x2_t low = neon::load(descriptors[0].lo, descriptors[1].lo);
  Mbuf* const first = run.slots[i];
  Mbuf* const second = run.slots[i + 1];
  Mbuf* const fresh = run.fresh[i];
  Mbuf* const next_fresh = run.fresh[i + 1];
  vst1q_u64(&MbufAccess::rx_low(*first), vzip1q_u64(low, status));  // and rx_high behind it
  vst1q_u64(&MbufAccess::rx_low(*second), vzip2q_u64(low, status));
  const uint64x2_t words = vaddq_u64(beyond, constants.one_byte_word);
  MbufAccess::set_word(*first, vgetq_lane_u64(words, 0));
  MbufAccess::set_word(*second, vgetq_lane_u64(words, 1));
  run.out[i] = first;
  run.out[i + 1] = second;
  run.slots[i] = fresh;
  run.slots[i + 1] = next_fresh;
  neon::store(descriptors, vaddq_u64(neon::pair(fresh, next_fresh), constants.iova_delta), vdupq_n_u64(0));
}

// As take_plain, for four. False, with nothing changed, if one of them is not plain. A load of 16 bytes may read its
// halves in any order, so the words with "done" are read first, and the others behind a barrier: each word once.
inline bool NeonRxLoop::take_four(const Constants& constants, const RxRun& run, std::intptr_t i) noexcept {
  const hw::intel::Descriptor* const descriptors = run.descriptors + i;
  const uint64x2_t status = neon::load(descriptors[0].hi, descriptors[1].hi);
  const uint64x2_t next_status = neon::load(descriptors[2].hi, descriptors[3].hi);
  const uint64x2_t beyond = neon::beyond_shortest(status, constants.inspected, constants.wanted);
  const uint64x2_t next_beyond = neon::beyond_shortest(next_status, constants.inspected, constants.wanted);
  if (neon::any_above(beyond, next_beyond, constants.span)) [[unlikely]]
    return false;
  __atomic_thread_fence(__ATOMIC_ACQUIRE);  // for what other threads do as a card
  io::dma_rmb();
  take_pair(constants, run, i, status, beyond);
  take_pair(constants, run, i + 2, next_status, next_beyond);
  for (std::intptr_t k = 0; k < kStep; ++k) prefetch_frame(run.slots[i + k + RxHotPath::kPrefetchDistance]);
  return true;
}

template <bool Remote>
POLLUX_HOT std::uint32_t burst_loop(RxQueue& queue, Mbuf** out, std::uint32_t limit) noexcept {
  return RxHotPath::burst_loop<NeonRxLoop, Remote, true>(queue, out, limit);
}

template <bool Remote>
POLLUX_HOT std::uint32_t burst(pollux::RxQueue& queue, Mbuf** out, std::uint32_t limit) noexcept {
  return RxHotPath::burst<burst_loop<Remote>, Remote, true>(queue, out, limit);
}

}  // namespace

pollux::RxQueue::BurstFunction* rx_burst_neon(bool remote) noexcept { return remote ? &burst<true> : &burst<false>; }

}  // namespace pollux::drivers::intel
