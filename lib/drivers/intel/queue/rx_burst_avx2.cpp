// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/queue/avx2.hpp"
#include "drivers/intel/queue/rx_burst.hpp"
#include "drivers/intel/queue/simd_loop.hpp"

namespace pollux::drivers::intel {
namespace {

/// Handles four descriptors at a time, which is one cache line, as two pairs.
class Avx2RxStep {
 public:
  static constexpr std::intptr_t kFrames = 4;
  static constexpr bool kAligned = true;
  static constexpr bool kEnabled = true;

  POLLUX_AVX2 inline explicit Avx2RxStep(const RxFastPath& fast_path) noexcept;
  POLLUX_AVX2 inline bool operator()(const RxRun& run, std::intptr_t i) const noexcept;

 private:
  /// The fields of RxFastPath, each for two descriptors.
  __m256i mask_, expected_, max_excess_, one_byte_word_, iova_delta_, to_buffer_;
};

inline Avx2RxStep::Avx2RxStep(const RxFastPath& fast_path) noexcept
    : mask_(avx2::in_high_words(fast_path.mask)),
      expected_(avx2::in_high_words(fast_path.expected)),
      max_excess_(avx2::in_high_words(fast_path.max_excess << 32)),
      one_byte_word_(_mm256_set1_epi64x(static_cast<long long>(fast_path.one_byte_word))),
      iova_delta_(_mm256_set1_epi64x(static_cast<long long>(fast_path.iova_delta))),
      to_buffer_(_mm256_set1_epi64x(static_cast<long long>(fast_path.iova_delta - fast_path.data_offset()))) {}

// Does for four frames what take_fast does for one. Returns false and changes nothing if one needs the slow path.
inline bool Avx2RxStep::operator()(const RxRun& run, std::intptr_t i) const noexcept {
  auto* const descriptors = reinterpret_cast<__m256i*>(run.descriptors + i);
  const __m256i pair = _mm256_load_si256(descriptors);  // reads each descriptor once, all 16 bytes together
  const __m256i next_pair = _mm256_load_si256(descriptors + 1);
  io::dma_rmb();
  // Two checks, each in 32 bits of its own: no status mismatch, and a length less one of at most max_excess.
  const __m256i excess = _mm256_sub_epi32(_mm256_and_si256(pair, mask_), expected_);
  const __m256i next_excess = _mm256_sub_epi32(_mm256_and_si256(next_pair, mask_), expected_);
  if (!avx2::all_within(excess, next_excess, max_excess_)) [[unlikely]]
    return false;
  const __m256i received = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(run.slots + i));
  const __m256i fresh = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(run.fresh + i));
  Mbuf* const* const mbufs = run.slots + i;
  Mbuf* const first = mbufs[0];
  Mbuf* const second = mbufs[1];
  Mbuf* const third = mbufs[2];
  Mbuf* const fourth = mbufs[3];
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(run.out + i), received);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(run.slots + i), fresh);
  // Arm the slots: the addresses of the fresh buffers in the low words, zeros in the high words. unpack works on each
  // 128-bit half, so swap the middle two first.
  constexpr int kMiddleSwapped = 0b11'01'10'00;
  const __m256i zero = _mm256_setzero_si256();
  const __m256i addresses = _mm256_permute4x64_epi64(_mm256_add_epi64(fresh, iova_delta_), kMiddleSwapped);
  _mm256_store_si256(descriptors, _mm256_unpacklo_epi64(addresses, zero));
  _mm256_store_si256(descriptors + 1, _mm256_unpackhi_epi64(addresses, zero));
  // Write the first 32 bytes of each mbuf with one store: the write-back in the lower 16, and in the upper 16 the
  // buffer's IOVA and the word with length, pool and port.
  constexpr int kHighWords = 0b1100'1100;
  const __m256i buffers = _mm256_permute4x64_epi64(_mm256_add_epi64(received, to_buffer_), kMiddleSwapped);
  const __m256i words = _mm256_add_epi64(_mm256_srli_epi64(excess, 32), one_byte_word_);
  const __m256i next_words = _mm256_add_epi64(_mm256_srli_epi64(next_excess, 32), one_byte_word_);
  const __m256i upper = _mm256_blend_epi32(buffers, words, kHighWords);
  const __m256i next_upper = _mm256_blend_epi32(_mm256_unpackhi_epi64(buffers, buffers), next_words, kHighWords);
  constexpr int kLowHalves = 0x20;
  constexpr int kHighHalves = 0x31;
  _mm256_store_si256(reinterpret_cast<__m256i*>(first), _mm256_permute2x128_si256(pair, upper, kLowHalves));
  _mm256_store_si256(reinterpret_cast<__m256i*>(second), _mm256_permute2x128_si256(pair, upper, kHighHalves));
  _mm256_store_si256(reinterpret_cast<__m256i*>(third), _mm256_permute2x128_si256(next_pair, next_upper, kLowHalves));
  _mm256_store_si256(reinterpret_cast<__m256i*>(fourth), _mm256_permute2x128_si256(next_pair, next_upper, kHighHalves));
  for (std::intptr_t k = 0; k < kFrames; ++k) prefetch_frame(mbufs[RxRing::kPrefetchDistance + k]);
  return true;
}

struct Avx2RxLoop {
  POLLUX_AVX2 static inline std::intptr_t take(const RxFastPath& fast_path, const RxRun& run,
                                               std::intptr_t i) noexcept {
    return simd_loop<Avx2RxStep, take_next<true>>(fast_path, run, run.descriptors, i);
  }
};

template <bool Remote>
POLLUX_AVX2 POLLUX_FLATTEN POLLUX_HOT std::uint32_t burst_loop(RxRing& ring, Mbuf** out, std::uint32_t limit) noexcept {
  return rx_burst_loop<Avx2RxLoop, Remote, true>(ring, out, limit);
}

}  // namespace

pollux::RxQueue::BurstFunction* rx_burst_avx2(bool remote) noexcept {
  return remote ? &rx_burst<burst_loop<true>, true, true> : &rx_burst<burst_loop<false>, false, true>;
}

}  // namespace pollux::drivers::intel
