// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/forward/forward_burst.hpp"
#include "drivers/intel/queue/avx512.hpp"
#include "drivers/intel/queue/simd_loop.hpp"

namespace pollux::drivers::intel {
namespace {

/// Handles four receive descriptors at a time, which is one cache line.
class Avx512ForwardStep {
 public:
  static constexpr std::intptr_t kFrames = 4;
  static constexpr bool kAligned = true;
  static constexpr bool kEnabled = true;

  POLLUX_AVX512 inline explicit Avx512ForwardStep(const ForwardFastPath& fast_path) noexcept;
  POLLUX_AVX512 inline bool operator()(const ForwardRun& run, std::intptr_t i) const noexcept;

 private:
  static constexpr __mmask8 kLowWords = 0x55;

  /// The fields of ForwardFastPath, each for four descriptors.
  __m512i mask_, expected_, max_excess_, iova_delta_, data_delta_, command_, shortest_;
};

inline Avx512ForwardStep::Avx512ForwardStep(const ForwardFastPath& fast_path) noexcept
    : mask_(avx512::in_high_words(fast_path.mask)),
      expected_(avx512::in_high_words(fast_path.expected)),
      max_excess_(avx512::in_high_words(fast_path.max_excess << 32)),
      iova_delta_(_mm512_set1_epi64(static_cast<long long>(fast_path.iova_delta))),
      data_delta_(_mm512_set1_epi64(static_cast<long long>(fast_path.data_delta))),
      command_(_mm512_set1_epi64(static_cast<long long>(fast_path.command))),
      shortest_(_mm512_set1_epi64(static_cast<long long>(kMinFrameTwice))) {}

// Does for four frames what move_fast does for one. Returns false and changes nothing if one needs the slow path.
inline bool Avx512ForwardStep::operator()(const ForwardRun& run, std::intptr_t i) const noexcept {
  const __m512i line = _mm512_load_si512(run.rx_descriptors + i);  // reads each once, all 16 bytes together
  io::dma_rmb();
  // Two checks, each in 32 bits of its own: no status mismatch, and a length of at most max_excess above the shortest.
  const __m512i excess = _mm512_sub_epi32(_mm512_and_si512(line, mask_), expected_);
  if (_mm512_cmpgt_epu32_mask(excess, max_excess_) != 0) [[unlikely]]
    return false;
  const __m256i received = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(run.rx_slots + i));
  const __m256i spare = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(run.tx_slots + i));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(run.rx_slots + i), spare);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(run.tx_slots + i), received);
  const __m512i spares = _mm512_maskz_expand_epi64(kLowWords, _mm512_castsi256_si512(spare));
  _mm512_store_si512(run.rx_descriptors + i, _mm512_maskz_add_epi64(kLowWords, spares, iova_delta_));
  // The low word of a transmit descriptor is an address. The high word is the length in both fields, plus the command.
  const __m512i bytes = _mm512_srli_epi64(excess, 32);
  const __m512i lengths = _mm512_add_epi64(bytes, _mm512_slli_epi64(bytes, hw::intel::tx::kPayloadShift));
  const __m512i commands = _mm512_add_epi64(lengths, command_);
  const __m512i mbufs = _mm512_castsi256_si512(received);
  _mm512_storeu_si512(run.tx_descriptors + i,
                      _mm512_mask_expand_epi64(commands, kLowWords, _mm512_add_epi64(mbufs, iova_delta_)));
  const __m512i frame_lengths = _mm512_add_epi64(_mm512_or_si512(bytes, _mm512_slli_epi64(bytes, 32)), shortest_);
  _mm512_storeu_si512(run.frames + i,
                      _mm512_mask_expand_epi64(frame_lengths, kLowWords, _mm512_add_epi64(mbufs, data_delta_)));
  for (std::intptr_t k = 0; k < kFrames; ++k) prefetch_frame(run.rx_slots[i + RxHotPath::kPrefetchDistance + k]);
  return true;
}

struct Avx512ForwardLoop {
  POLLUX_AVX512 static inline std::intptr_t move(const ForwardFastPath& fast_path, const ForwardRun& run,
                                                 std::intptr_t i) noexcept {
    return simd_loop<Avx512ForwardStep, move_next<true>>(fast_path, run, run.rx_descriptors, i);
  }
};

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
