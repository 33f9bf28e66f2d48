// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/queue/neon.hpp"
#include "drivers/intel/queue/tx_burst.hpp"

namespace pollux::drivers::intel {
namespace {

/// Four descriptors at a time, as two pairs.
struct NeonTxLoop : ScalarTxLoop {
  static constexpr std::intptr_t kStep = 4;

  /// TxRule, side by side.
  struct Constants {
    uint64x2_t command;
    uint32x4_t shortest, span;
  };
  static POLLUX_ALWAYS_INLINE uint64x2_t words_of(const Mbuf& first, const Mbuf& second) noexcept {
    return neon::pair(MbufAccess::word(first), MbufAccess::word(second));
  }
  static POLLUX_ALWAYS_INLINE void send_pair(const Constants& constants, const TxRun& run, std::intptr_t i,
                                             uint64x2_t words, uint32x2_t beyond) noexcept;
  static POLLUX_ALWAYS_INLINE bool send_four(const Constants& constants, const TxRun& run, std::intptr_t i) noexcept;

  static POLLUX_ALWAYS_INLINE std::intptr_t send(const TxRule& rule, const TxRun& run, std::intptr_t i) noexcept {
    if constexpr (!custody::kTraced) {
      const Constants constants = {
          .command = vdupq_n_u64(rule.command), .shortest = vdupq_n_u32(rule.shortest), .span = vdupq_n_u32(rule.span)};
      while (i <= -kStep && send_four(constants, run, i)) i += kStep;
    }
    // What is left of the run, or the four in which something is not plain.
    return i == 0 ? 0 : ScalarTxLoop::send(rule, run, i);
  }
};

inline void NeonTxLoop::send_pair(const Constants& constants, const TxRun& run, std::intptr_t i, uint64x2_t words,
                                  uint32x2_t beyond) noexcept {
  constexpr int kOffset = MbufAccess::kOffsetShift;
  Mbuf* const first = run.frames[i];
  Mbuf* const second = run.frames[i + 1];
  const uint64x2_t offsets = vandq_u64(vshrq_n_u64(words, kOffset), vdupq_n_u64(0xFFFF));
  const uint64x2_t iovas = neon::pair(MbufAccess::iova(*first), MbufAccess::iova(*second));
  neon::store(run.descriptors + i, vaddq_u64(iovas, offsets),
              vaddq_u64(neon::lengths(vmovl_u32(beyond)), constants.command));
  run.slots[i] = first;
  run.slots[i + 1] = second;
}

// As send_plain, for four. False, with nothing changed, if one of them is not plain.
inline bool NeonTxLoop::send_four(const Constants& constants, const TxRun& run, std::intptr_t i) noexcept {
  Mbuf* const* const frames = run.frames + i;
  const uint64x2_t words = words_of(*frames[0], *frames[1]);
  const uint64x2_t next_words = words_of(*frames[2], *frames[3]);
  const uint32x4_t beyond = vsubq_u32(vmovn_high_u64(vmovn_u64(words), next_words), constants.shortest);
  if (vmaxvq_u32(vcgtq_u32(beyond, constants.span)) != 0) [[unlikely]]
    return false;
  send_pair(constants, run, i, words, vget_low_u32(beyond));
  send_pair(constants, run, i + 2, next_words, vget_high_u32(beyond));
  return true;
}

template <bool Remote>
POLLUX_HOT std::uint32_t burst_loop(TxQueue& queue, Mbuf* const* mbufs, std::uint32_t count) noexcept {
  return TxHotPath::burst_loop<NeonTxLoop, Remote, false>(queue, mbufs, count);
}

template <bool Remote>
POLLUX_HOT std::uint32_t burst(pollux::TxQueue& queue, Mbuf* const* mbufs, std::uint32_t count) noexcept {
  return TxHotPath::burst<burst_loop<Remote>, Remote, false>(queue, mbufs, count);
}

}  // namespace

pollux::TxQueue::BurstFunction* tx_burst_neon(bool remote) noexcept { return remote ? &burst<true> : &burst<false>; }

}  // namespace pollux::drivers::intel
