// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/queue/avx2.hpp"
#include "drivers/intel/queue/simd_loop.hpp"
#include "drivers/intel/queue/tx_burst.hpp"
#include "drivers/intel/queue/tx_simd.hpp"

namespace pollux::drivers::intel {
namespace {

/// Handles four descriptors at a time, which is one cache line, as two pairs. `TwoLengths`: see TxFormat.
template <bool TwoLengths>
class Avx2TxStep {
 public:
  [[maybe_unused]] static constexpr std::intptr_t kFrames = 4;  // not in checked builds
  static constexpr bool kAligned = true;
  static constexpr bool kEnabled = !ownership::kChecked;

  POLLUX_AVX2 inline explicit Avx2TxStep(const TxFastPath& fast_path) noexcept;
  POLLUX_AVX2 inline bool operator()(const TxRun& run, std::intptr_t i) const noexcept;

 private:
  POLLUX_AVX2 inline __m256i descriptors_of(__m256i pair, __m256i excess) const noexcept;
  POLLUX_AVX2 static inline __m128i iova_and_word(Mbuf& frame) noexcept;

  /// The fields of TxFastPath, each for two descriptors.
  __m256i fields_, shortest_, max_excess_, command_;
};

template <bool TwoLengths>
inline Avx2TxStep<TwoLengths>::Avx2TxStep(const TxFastPath& fast_path) noexcept
    : fields_(_mm256_broadcastsi128_si256(tx_fields())),
      shortest_(_mm256_broadcastsi128_si256(_mm_set_epi32(0, static_cast<int>(fast_path.shortest), 0, 0))),
      max_excess_(_mm256_broadcastsi128_si256(_mm_set_epi32(0, static_cast<int>(fast_path.max_excess), 0, -1))),
      command_(_mm256_broadcastsi128_si256(_mm_set_epi64x(static_cast<long long>(fast_path.command), 0))) {}

// The low word of a descriptor is IOVA plus data offset. The high word is the length in one or both fields, plus the
// command.
template <bool TwoLengths>
inline __m256i Avx2TxStep<TwoLengths>::descriptors_of(__m256i pair, __m256i excess) const noexcept {
  constexpr int kHighWords = 0b1100'1100;
  const __m256i payload = TwoLengths ? _mm256_slli_epi64(excess, hw::intel::tx::kPayloadShift) : _mm256_setzero_si256();
  const __m256i base = _mm256_blend_epi32(pair, payload, kHighWords);
  return _mm256_add_epi64(_mm256_add_epi64(base, excess), command_);
}

template <bool TwoLengths>
inline __m128i Avx2TxStep<TwoLengths>::iova_and_word(Mbuf& frame) noexcept {
  return _mm_load_si128(reinterpret_cast<const __m128i*>(&MbufAccess::iova(frame)));
}

// Does for four frames what send_fast does for one. Returns false and changes nothing if one needs the slow path.
template <bool TwoLengths>
inline bool Avx2TxStep<TwoLengths>::operator()(const TxRun& run, std::intptr_t i) const noexcept {
  Mbuf* const* const frames = run.frames + i;
  const __m256i pair =
      _mm256_inserti128_si256(_mm256_castsi128_si256(iova_and_word(*frames[0])), iova_and_word(*frames[1]), 1);
  const __m256i next_pair =
      _mm256_inserti128_si256(_mm256_castsi128_si256(iova_and_word(*frames[2])), iova_and_word(*frames[3]), 1);
  // Low words: data offsets. High words: the length less the shortest one; a mismatch is above every limit.
  const __m256i excess = _mm256_sub_epi32(_mm256_shuffle_epi8(pair, fields_), shortest_);
  const __m256i next_excess = _mm256_sub_epi32(_mm256_shuffle_epi8(next_pair, fields_), shortest_);
  if (!avx2::all_within(excess, next_excess, max_excess_)) [[unlikely]]
    return false;
  auto* const descriptors = reinterpret_cast<__m256i*>(run.descriptors + i);
  _mm256_store_si256(descriptors, descriptors_of(pair, excess));
  _mm256_store_si256(descriptors + 1, descriptors_of(next_pair, next_excess));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(run.slots + i),
                      _mm256_loadu_si256(reinterpret_cast<const __m256i*>(frames)));
  return true;
}

template <bool TwoLengths>
struct Avx2TxLoop {
  POLLUX_AVX2 static inline std::intptr_t send(const TxFastPath& fast_path, const TxRun& run,
                                               std::intptr_t i) noexcept {
    return simd_loop<Avx2TxStep<TwoLengths>, send_next>(fast_path, run, run.descriptors, i);
  }

  POLLUX_AVX2 static inline void copy_group(Mbuf** to, Mbuf* const* from) noexcept {
    constexpr std::uint32_t kPointers = sizeof(__m256i) / sizeof(Mbuf*);
    for (std::uint32_t k = 0; k < TxRing::kGroup; k += kPointers) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + k),
                          _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + k)));
    }
  }
};

template <bool Remote, bool TwoLengths>
POLLUX_AVX2 POLLUX_FLATTEN POLLUX_HOT std::uint32_t burst_loop(TxRing& ring, Mbuf* const* mbufs,
                                                               std::uint32_t count) noexcept {
  return tx_burst_loop<Avx2TxLoop<TwoLengths>, Remote, false>(ring, mbufs, count);
}

}  // namespace

pollux::TxQueue::BurstFunction* tx_burst_avx2(bool remote, bool two_lengths) noexcept {
  if (two_lengths) {
    return remote ? &tx_burst<burst_loop<true, true>, true, false> : &tx_burst<burst_loop<false, true>, false, false>;
  }
  return remote ? &tx_burst<burst_loop<true, false>, true, false> : &tx_burst<burst_loop<false, false>, false, false>;
}

}  // namespace pollux::drivers::intel
