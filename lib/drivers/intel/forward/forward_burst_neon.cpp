// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/forward/forward_burst.hpp"
#include "drivers/intel/queue/neon.hpp"

namespace pollux::drivers::intel {
namespace {

/// Four receive descriptors at a time, as two pairs.
struct NeonForwardLoop {
  static constexpr std::intptr_t kStep = 4;

  /// ForwardRule, twice side by side.
  struct Constants {
    uint64x2_t inspected, wanted, span, iova_delta, command;
    std::uint64_t data_delta;
  };
  static POLLUX_ALWAYS_INLINE ForwardedFrame frame_of(const Constants& constants, Mbuf* received,
                                                      std::uint64_t beyond) noexcept {
    const auto length = static_cast<std::uint32_t>(beyond) + TxQueue::kMinFrame;
    return {reinterpret_cast<std::uint8_t*>(received) + constants.data_delta, length, length};
  }
  static POLLUX_ALWAYS_INLINE void move_pair(const Constants& constants, const ForwardRun& run, std::intptr_t i,
                                             uint64x2_t beyond) noexcept;
  static POLLUX_ALWAYS_INLINE bool move_four(const Constants& constants, const ForwardRun& run,
                                             std::intptr_t i) noexcept;

  static POLLUX_ALWAYS_INLINE std::intptr_t move(const ForwardRule& rule, const ForwardRun& run,
                                                 std::intptr_t i) noexcept {
    const Constants constants = {.inspected = vdupq_n_u64(rule.inspected),
                                 .wanted = vdupq_n_u64(rule.wanted),
                                 .span = vdupq_n_u64(rule.span),
                                 .iova_delta = vdupq_n_u64(rule.iova_delta),
                                 .command = vdupq_n_u64(rule.command),
                                 .data_delta = rule.data_delta};
    while (i <= -kStep && move_four(constants, run, i)) i += kStep;
    // What is left of the run, or the four in which something is not plain.
    while (i != 0 && move_next<true>(rule, run, i)) ++i;
    return i;
  }
};

inline void NeonForwardLoop::move_pair(const Constants& constants, const ForwardRun& run, std::intptr_t i,
                                       uint64x2_t beyond) noexcept {
  Mbuf* const first = run.rx_slots[i];
  Mbuf* const second = run.rx_slots[i + 1];
  Mbuf* const spare = run.tx_slots[i];
  Mbuf* const next_spare = run.tx_slots[i + 1];
  run.rx_slots[i] = spare;
  run.rx_slots[i + 1] = next_spare;
  run.tx_slots[i] = first;
  run.tx_slots[i + 1] = second;
  const uint64x2_t armed = vaddq_u64(neon::pair(spare, next_spare), constants.iova_delta);
  const uint64x2_t sent = vaddq_u64(neon::pair(first, second), constants.iova_delta);
  neon::store(run.rx_descriptors + i, armed, vdupq_n_u64(0));
  neon::store(run.tx_descriptors + i, sent, vaddq_u64(neon::lengths(beyond), constants.command));
  run.frames[i] = frame_of(constants, first, vgetq_lane_u64(beyond, 0));
  run.frames[i + 1] = frame_of(constants, second, vgetq_lane_u64(beyond, 1));
}

// As move_plain, for four. False, with nothing changed, if one of them is not plain. Of a write-back only the word with
// "done" is needed, and read once.
inline bool NeonForwardLoop::move_four(const Constants& constants, const ForwardRun& run, std::intptr_t i) noexcept {
  const hw::intel::Descriptor* const descriptors = run.rx_descriptors + i;
  const uint64x2_t status = neon::load(descriptors[0].hi, descriptors[1].hi);
  const uint64x2_t next_status = neon::load(descriptors[2].hi, descriptors[3].hi);
  const uint64x2_t beyond = neon::beyond_shortest(status, constants.inspected, constants.wanted);
  const uint64x2_t next_beyond = neon::beyond_shortest(next_status, constants.inspected, constants.wanted);
  if (neon::any_above(beyond, next_beyond, constants.span)) [[unlikely]]
    return false;
  __atomic_thread_fence(__ATOMIC_ACQUIRE);  // for what other threads do as a card
  io::dma_rmb();
  move_pair(constants, run, i, beyond);
  move_pair(constants, run, i + 2, next_beyond);
  for (std::intptr_t k = 0; k < kStep; ++k) prefetch_frame(run.rx_slots[i + k + RxHotPath::kPrefetchDistance]);
  return true;
}

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
