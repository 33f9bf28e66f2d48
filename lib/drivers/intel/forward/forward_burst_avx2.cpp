// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/forward/forward_burst.hpp"
#include "drivers/intel/queue/avx2.hpp"
#include "drivers/intel/queue/simd_loop.hpp"

namespace pollux::drivers::intel {
namespace {

/// Handles four receive descriptors at a time, which is one cache line, as two pairs.
class Avx2ForwardStep {
 public:
  static constexpr std::intptr_t kFrames = 4;
  static constexpr bool kAligned = true;
  static constexpr bool kEnabled = true;

  POLLUX_AVX2 inline explicit Avx2ForwardStep(const ForwardFastPath& fast_path) noexcept;
  POLLUX_AVX2 inline bool operator()(const ForwardRun& run, std::intptr_t i) const noexcept;

 private:
  static constexpr int kHighWords = 0b1100'1100;

  POLLUX_AVX2 inline __m256i commands_of(__m256i excess) const noexcept;
  POLLUX_AVX2 inline __m256i frame_lengths_of(__m256i excess) const noexcept;

  /// The fields of ForwardFastPath, each for two descriptors.
  __m256i mask_, expected_, max_excess_, iova_delta_, data_delta_, command_, shortest_;
};

inline Avx2ForwardStep::Avx2ForwardStep(const ForwardFastPath& fast_path) noexcept
    : mask_(avx2::in_high_words(fast_path.mask)),
      expected_(avx2::in_high_words(fast_path.expected)),
      max_excess_(avx2::in_high_words(fast_path.max_excess << 32)),
      iova_delta_(_mm256_set1_epi64x(static_cast<long long>(fast_path.iova_delta))),
      data_delta_(_mm256_set1_epi64x(static_cast<long long>(fast_path.data_delta))),
      command_(_mm256_set1_epi64x(static_cast<long long>(fast_path.command))),
      shortest_(_mm256_set1_epi64x(static_cast<long long>(kMinFrameTwice))) {}

// High words: the length in both fields of the descriptor, plus the command.
inline __m256i Avx2ForwardStep::commands_of(__m256i excess) const noexcept {
  const __m256i bytes = _mm256_srli_epi64(excess, 32);
  const __m256i lengths = _mm256_add_epi64(bytes, _mm256_slli_epi64(bytes, hw::intel::tx::kPayloadShift));
  return _mm256_add_epi64(lengths, command_);
}

// High words: the length in both halves, as in ForwardedFrame.
inline __m256i Avx2ForwardStep::frame_lengths_of(__m256i excess) const noexcept {
  const __m256i bytes = _mm256_srli_epi64(excess, 32);
  return _mm256_add_epi64(_mm256_or_si256(bytes, _mm256_slli_epi64(bytes, 32)), shortest_);
}

// Does for four frames what move_fast does for one. Returns false and changes nothing if one needs the slow path.
inline bool Avx2ForwardStep::operator()(const ForwardRun& run, std::intptr_t i) const noexcept {
  auto* const descriptors = reinterpret_cast<__m256i*>(run.rx_descriptors + i);
  const __m256i pair = _mm256_load_si256(descriptors);  // reads each descriptor once, all 16 bytes together
  const __m256i next_pair = _mm256_load_si256(descriptors + 1);
  io::dma_rmb();
  // Two checks, each in 32 bits of its own: no status mismatch, and a length of at most max_excess above the shortest.
  const __m256i excess = _mm256_sub_epi32(_mm256_and_si256(pair, mask_), expected_);
  const __m256i next_excess = _mm256_sub_epi32(_mm256_and_si256(next_pair, mask_), expected_);
  if (!avx2::all_within(excess, next_excess, max_excess_)) [[unlikely]]
    return false;
  const __m256i received = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(run.rx_slots + i));
  const __m256i spare = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(run.tx_slots + i));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(run.rx_slots + i), spare);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(run.tx_slots + i), received);
  // unpack works on each 128-bit half, so swap the middle two first.
  constexpr int kMiddleSwapped = 0b11'01'10'00;
  const __m256i zero = _mm256_setzero_si256();
  const __m256i spares = _mm256_permute4x64_epi64(_mm256_add_epi64(spare, iova_delta_), kMiddleSwapped);
  _mm256_store_si256(descriptors, _mm256_unpacklo_epi64(spares, zero));
  _mm256_store_si256(descriptors + 1, _mm256_unpackhi_epi64(spares, zero));
  const __m256i mbufs = _mm256_permute4x64_epi64(received, kMiddleSwapped);
  const __m256i addresses = _mm256_add_epi64(mbufs, iova_delta_);
  const __m256i next_addresses = _mm256_unpackhi_epi64(addresses, addresses);
  auto* const tx_descriptors = reinterpret_cast<__m256i*>(run.tx_descriptors + i);
  _mm256_storeu_si256(tx_descriptors, _mm256_blend_epi32(addresses, commands_of(excess), kHighWords));
  _mm256_storeu_si256(tx_descriptors + 1, _mm256_blend_epi32(next_addresses, commands_of(next_excess), kHighWords));
  const __m256i data = _mm256_add_epi64(mbufs, data_delta_);
  const __m256i next_data = _mm256_unpackhi_epi64(data, data);
  auto* const frames = reinterpret_cast<__m256i*>(run.frames + i);
  _mm256_storeu_si256(frames, _mm256_blend_epi32(data, frame_lengths_of(excess), kHighWords));
  _mm256_storeu_si256(frames + 1, _mm256_blend_epi32(next_data, frame_lengths_of(next_excess), kHighWords));
  for (std::intptr_t k = 0; k < kFrames; ++k) prefetch_frame(run.rx_slots[i + RxHotPath::kPrefetchDistance + k]);
  return true;
}

struct Avx2ForwardLoop {
  POLLUX_AVX2 static inline std::intptr_t move(const ForwardFastPath& fast_path, const ForwardRun& run,
                                               std::intptr_t i) noexcept {
    return simd_loop<Avx2ForwardStep, move_next<true>>(fast_path, run, run.rx_descriptors, i);
  }
};

template <bool Remote>
POLLUX_AVX2 POLLUX_FLATTEN POLLUX_HOT std::uint32_t burst_loop(ForwardQueue& path, ForwardedFrame* frames,
                                                               std::uint32_t limit) noexcept {
  return ForwardHotPath::burst_loop<Avx2ForwardLoop, Remote, false>(path, frames, limit);
}

template <bool Remote>
POLLUX_HOT std::uint32_t burst(ForwardPath& path, ForwardedFrame* frames, std::uint32_t limit) noexcept {
  return ForwardHotPath::burst<burst_loop<Remote>, Remote, false, true>(path, frames, limit);
}

}  // namespace

ForwardPath::BurstFunction* forward_burst_avx2(bool remote) noexcept { return remote ? &burst<true> : &burst<false>; }

}  // namespace pollux::drivers::intel
