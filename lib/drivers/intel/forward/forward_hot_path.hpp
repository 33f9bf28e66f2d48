// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "drivers/intel/forward/forward_queue.hpp"
#include "drivers/intel/queue/queue_internals.hpp"
#include "drivers/intel/queue/tx_hot_path.hpp"

namespace pollux::drivers::intel {

/// Functions that the forward path's fast path (forward_burst.hpp) and slow path (forward_slow.cpp) share.
struct ForwardHotPath {
  /// One burst. `BurstLoop` moves whatever is not a single fast-path frame. `Remote`: the receive queue's registers are
  /// accessed through functions. `Small`: a transmit ring of fewer than four groups. `OneDelta`: as in
  /// RxHotPath::burst.
  template <auto BurstLoop, bool Remote, bool Small, bool OneDelta>
  static std::uint32_t burst(ForwardPath& base, ForwardedFrame* frames, std::uint32_t limit) noexcept;
  /// Moves each run of fast-path frames with `Loop`, and the frames between them with `slow`.
  template <class Loop, bool Remote, bool Small>
  static std::uint32_t burst_loop(ForwardQueue& path, ForwardedFrame* frames, std::uint32_t limit) noexcept;
  /// Moves the waiting frame, or else the next received one, to the transmit ring. Returns false if there is none, or
  /// no room for it.
  static bool slow(ForwardQueue& path, ForwardedFrame& frame) noexcept;

 private:
  /// Slots that are cleaned beyond those that a burst needs, so that bursts of one need no cleaning for a while.
  static constexpr std::uint32_t kCleanAhead = 4 * TxHotPath::kGroup;

  template <bool Remote, bool OneDelta>
  static bool burst_one(ForwardQueue& path, RxInternals rx, ForwardedFrame& frame, std::size_t slot,
                        hw::intel::Descriptor& descriptor, std::uint64_t status) noexcept;
  template <bool Small>
  static std::uint32_t make_room(TxInternals tx, std::uint32_t wanted) noexcept;
  static bool send_waiting(ForwardQueue& path, ForwardedFrame& frame) noexcept;
  static void queue_segments(ForwardQueue& path, Mbuf& frame) noexcept;
};

/// The burst functions, by instruction set. The SIMD ones need a pool of one segment, a transmit ring of at least four
/// groups, and a processor that has the instructions.
[[nodiscard]] ForwardPath::BurstFunction* forward_burst_scalar(bool remote, bool small, bool one_delta) noexcept;
#if defined(__x86_64__)
[[nodiscard]] ForwardPath::BurstFunction* forward_burst_avx2(bool remote) noexcept;
[[nodiscard]] ForwardPath::BurstFunction* forward_burst_avx512(bool remote) noexcept;
#elif defined(__aarch64__)
[[nodiscard]] ForwardPath::BurstFunction* forward_burst_neon(bool remote) noexcept;
#endif

}  // namespace pollux::drivers::intel
