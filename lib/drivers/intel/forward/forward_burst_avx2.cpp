// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/forward/forward_burst.hpp"
#include "drivers/intel/queue/avx2.hpp"

namespace pollux::drivers::intel {
namespace {

/// Handles four receive descriptors at a time, which is one cache line, as two pairs.
struct Avx2ForwardStep {
  static constexpr std::intptr_t kFrames = 4;
  static constexpr bool kAligned = true;
  static constexpr bool kEnabled = true;

  POLLUX_AVX2 inline explicit Avx2ForwardStep(const ForwardFastPath& fast_path) noexcept
      : mask(avx2::in_high_words(fast_path.mask)),
        expected(avx2::in_high_words(fast_path.expected)),
        max_excess(avx2::in_high_words(fast_path.max_excess << 32)),
        iova_delta(_mm256_set1_epi64x(static_cast<long long>(fast_path.iova_delta))),
        data_delta(_mm256_set1_epi64x(static_cast<long long>(fast_path.data_delta))),
        command(_mm256_set1_epi64x(static_cast<long long>(fast_path.command))),
        min_frame(_mm256_set1_epi32(TxRing::kMinFrame)) {}

  // `low` in the low words. In the high words `shortest` plus the bytes beyond the shortest frame, and these once more
  // `kShift` bits higher: a descriptor and a ForwardedFrame both have two lengths.
  template <int kShift>
  POLLUX_AVX2 static inline __m256i with_lengths(__m256i low, __m256i excess, __m256i shortest) noexcept {
    constexpr int kHighWords = 0b1100'1100;
    const __m256i bytes = _mm256_srli_epi64(excess, 32);
    const __m256i both = _mm256_add_epi64(bytes, _mm256_slli_epi64(bytes, kShift));
    return _mm256_blend_epi32(low, _mm256_add_epi64(both, shortest), kHighWords);
  }

  // Does for four frames what move_next does for one. Returns false and changes nothing if one needs the slow path.
  POLLUX_AVX2 inline bool operator()(const ForwardRun& run, std::intptr_t i) const noexcept {
    auto* const descriptors = reinterpret_cast<__m256i*>(run.rx_descriptors + i);
    const __m256i pair = _mm256_load_si256(descriptors);  // reads each descriptor once, all 16 bytes together
    const __m256i next_pair = _mm256_load_si256(descriptors + 1);
    io::dma_rmb();
    // Two checks, each in 32 bits of its own: no status mismatch, and a length of at most max_excess above the
    // shortest.
    const __m256i excess = _mm256_sub_epi32(_mm256_and_si256(pair, mask), expected);
    const __m256i next_excess = _mm256_sub_epi32(_mm256_and_si256(next_pair, mask), expected);
    if (!avx2::all_within(excess, next_excess, max_excess)) [[unlikely]]
      return false;
    const __m256i received = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(run.rx_slots + i));
    const __m256i spare = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(run.tx_slots + i));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(run.rx_slots + i), spare);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(run.tx_slots + i), received);
    // unpack works on each 128-bit half, so swap the middle two first.
    constexpr int kMiddleSwapped = 0b11'01'10'00;
    const __m256i zero = _mm256_setzero_si256();
    const __m256i spares = _mm256_permute4x64_epi64(_mm256_add_epi64(spare, iova_delta), kMiddleSwapped);
    _mm256_store_si256(descriptors, _mm256_unpacklo_epi64(spares, zero));
    _mm256_store_si256(descriptors + 1, _mm256_unpackhi_epi64(spares, zero));
    const __m256i mbufs = _mm256_permute4x64_epi64(received, kMiddleSwapped);
    const __m256i addresses = _mm256_add_epi64(mbufs, iova_delta);
    const __m256i next_addresses = _mm256_unpackhi_epi64(addresses, addresses);
    auto* const tx_descriptors = reinterpret_cast<__m256i*>(run.tx_descriptors + i);
    _mm256_storeu_si256(tx_descriptors, with_lengths<hw::intel::tx::kPayloadShift>(addresses, excess, command));
    _mm256_storeu_si256(tx_descriptors + 1,
                        with_lengths<hw::intel::tx::kPayloadShift>(next_addresses, next_excess, command));
    const __m256i data = _mm256_add_epi64(mbufs, data_delta);
    const __m256i next_data = _mm256_unpackhi_epi64(data, data);
    auto* const frames = reinterpret_cast<__m256i*>(run.frames + i);
    _mm256_storeu_si256(frames, with_lengths<32>(data, excess, min_frame));
    _mm256_storeu_si256(frames + 1, with_lengths<32>(next_data, next_excess, min_frame));
    for (std::intptr_t k = 0; k < kFrames; ++k) prefetch_frame(run.rx_slots[i + RxRing::kPrefetchDistance + k]);
    return true;
  }

  /// The fields of ForwardFastPath, each for two descriptors.
  __m256i mask, expected, max_excess, iova_delta, data_delta, command, min_frame;
};

template <bool Remote>
POLLUX_AVX2 POLLUX_FLATTEN POLLUX_HOT std::uint32_t burst_loop(ForwardQueue& path, ForwardedFrame* frames,
                                                               std::uint32_t limit) noexcept {
  return forward_burst_loop<Avx2ForwardStep, Remote, true>(path, frames, limit);
}

}  // namespace

ForwardPath::BurstFunction* forward_burst_avx2(bool remote) noexcept {
  return remote ? &forward_burst<burst_loop<true>, true, true> : &forward_burst<burst_loop<false>, false, true>;
}

}  // namespace pollux::drivers::intel
