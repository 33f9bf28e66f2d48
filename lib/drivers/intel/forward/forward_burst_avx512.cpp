// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/forward/forward_burst.hpp"
#include "drivers/intel/queue/avx512.hpp"

namespace pollux::drivers::intel {
namespace {

/// Four receive descriptors, one cache line, at a time.
struct Avx512ForwardLoop {
  static constexpr std::intptr_t kStep = 4;
  static constexpr __mmask8 kLowWords = 0x55;

  /// ForwardRule, four times side by side.
  struct Constants {
    __m512i inspected, wanted, span, iova_delta, data_delta, command, shortest;
  };
  POLLUX_AVX512 static inline Constants spread(const ForwardRule& rule) noexcept;
  POLLUX_AVX512 static inline bool move_line(const Constants& constants, const ForwardRun& run,
                                             std::intptr_t i) noexcept;

  POLLUX_AVX512 static inline std::intptr_t move(const ForwardRule& rule, const ForwardRun& run,
                                                 std::intptr_t i) noexcept {
    while ((reinterpret_cast<std::uintptr_t>(run.rx_descriptors + i) & 63) != 0) {
      if (!move_next<true>(rule, run, i) || ++i == 0) return i;
    }
    if (i <= -kStep) {
      const Constants constants = spread(rule);
      do {
        if (!move_line(constants, run, i)) break;
        i += kStep;
      } while (i <= -kStep);
    }
    // What is left of the run, or the line in which something is not plain.
    while (i != 0 && move_next<true>(rule, run, i)) ++i;
    return i;
  }
};

inline Avx512ForwardLoop::Constants Avx512ForwardLoop::spread(const ForwardRule& rule) noexcept {
  constexpr std::uint64_t kTwice = (std::uint64_t{1} << 32) | 1;
  constexpr std::uint64_t kShortest = TxQueue::kMinFrame * kTwice;
  return {.inspected = avx512::in_high_words(rule.inspected),
          .wanted = avx512::in_high_words(rule.wanted),
          .span = avx512::in_high_words(rule.span << 32),
          .iova_delta = _mm512_set1_epi64(static_cast<long long>(rule.iova_delta)),
          .data_delta = _mm512_set1_epi64(static_cast<long long>(rule.data_delta)),
          .command = _mm512_set1_epi64(static_cast<long long>(rule.command)),
          .shortest = _mm512_set1_epi64(static_cast<long long>(kShortest))};
}

// As move_plain, for four. False, with nothing changed, if one of them is not plain.
inline bool Avx512ForwardLoop::move_line(const Constants& constants, const ForwardRun& run, std::intptr_t i) noexcept {
  const __m512i line = _mm512_load_si512(run.rx_descriptors + i);  // each is read once, its 16 bytes as one
  io::dma_rmb();
  // In each 32 bits by themselves: nothing of the status, and a length beyond the shortest within the span.
  const __m512i beyond = _mm512_sub_epi32(_mm512_and_si512(line, constants.inspected), constants.wanted);
  if (_mm512_cmpgt_epu32_mask(beyond, constants.span) != 0) [[unlikely]]
    return false;
  const __m256i received = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(run.rx_slots + i));
  const __m256i spare = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(run.tx_slots + i));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(run.rx_slots + i), spare);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(run.tx_slots + i), received);
  const __m512i spares = _mm512_maskz_expand_epi64(kLowWords, _mm512_castsi256_si512(spare));
  _mm512_store_si512(run.rx_descriptors + i, _mm512_maskz_add_epi64(kLowWords, spares, constants.iova_delta));
  // High words: the length, twice, and the command; low ones: addresses.
  const __m512i bytes = _mm512_srli_epi64(beyond, 32);
  const __m512i lengths = _mm512_add_epi64(bytes, _mm512_slli_epi64(bytes, hw::intel::tx::kPayloadShift));
  const __m512i commands = _mm512_add_epi64(lengths, constants.command);
  const __m512i mbufs = _mm512_castsi256_si512(received);
  _mm512_storeu_si512(run.tx_descriptors + i,
                      _mm512_mask_expand_epi64(commands, kLowWords, _mm512_add_epi64(mbufs, constants.iova_delta)));
  const __m512i shown = _mm512_add_epi64(_mm512_or_si512(bytes, _mm512_slli_epi64(bytes, 32)), constants.shortest);
  _mm512_storeu_si512(run.frames + i,
                      _mm512_mask_expand_epi64(shown, kLowWords, _mm512_add_epi64(mbufs, constants.data_delta)));
  for (std::intptr_t k = 0; k < kStep; ++k) prefetch_frame(run.rx_slots[i + RxHotPath::kPrefetchDistance + k]);
  return true;
}

template <bool Remote>
POLLUX_AVX512 POLLUX_FLATTEN POLLUX_HOT std::uint32_t burst_loop(ForwardQueue& path, ForwardedFrame* frames,
                                                                 std::uint32_t limit) noexcept {
  return ForwardHotPath::burst_loop<Avx512ForwardLoop, Remote, false>(path, frames, limit);
}

template <bool Remote>
POLLUX_HOT std::uint32_t burst(ForwardPath& path, ForwardedFrame* frames, std::uint32_t limit) noexcept {
  return ForwardHotPath::burst<burst_loop<Remote>, Remote, false, true>(path, frames, limit);
}

}  // namespace

ForwardPath::BurstFunction* forward_burst_avx512(bool remote) noexcept { return remote ? &burst<true> : &burst<false>; }

}  // namespace pollux::drivers::intel
