// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "drivers/intel/forward/forward_queue.hpp"

namespace pollux::drivers::intel {

/// What the files of a forward path share: forward_burst.hpp is the way of plain frames, forward_slow.cpp that of
/// all others.
struct ForwardHotPath {
  /// One burst. `BurstLoop` moves what is more than one plain frame. `Remote`: the receive queue's registers are
  /// functions. `Small`: a transmit ring of under four full groups. `OneDelta`: as RxHotPath.
  template <auto BurstLoop, bool Remote, bool Small, bool OneDelta>
  static std::uint32_t burst(ForwardPath& base, ForwardedFrame* frames, std::uint32_t limit) noexcept;
  /// Moves runs of plain frames, each by `Loop`, and what else there is between them by `slow`.
  template <class Loop, bool Remote, bool Small>
  static std::uint32_t burst_loop(ForwardQueue& path, ForwardedFrame* frames, std::uint32_t limit) noexcept;
  /// Moves the frame that waits or the next one, which is not plain, into the transmit ring. False if there is none, or
  /// no room for it.
  static bool slow(ForwardQueue& path, ForwardedFrame& frame) noexcept;

 private:
  template <bool Remote, bool OneDelta>
  static bool burst_one(ForwardQueue& path, RxQueue& rx, ForwardedFrame& frame, std::uint32_t slot,
                        hw::intel::Descriptor& descriptor, std::uint64_t status) noexcept;
  template <bool Small>
  static std::uint32_t make_room(TxQueue& tx, std::uint32_t wanted) noexcept;
  static bool send_waiting(ForwardQueue& path, ForwardedFrame& frame) noexcept;
  static void queue_segments(ForwardQueue& path, Mbuf& frame) noexcept;
};

/// The burst functions, one set for each instruction set. Those of a wider one expect a pool of one segment, a transmit
/// ring of at least four full groups, and a processor that has it.
[[nodiscard]] ForwardPath::BurstFunction* forward_burst_scalar(bool remote, bool small, bool one_delta) noexcept;
#if defined(__x86_64__)
[[nodiscard]] ForwardPath::BurstFunction* forward_burst_avx2(bool remote) noexcept;
[[nodiscard]] ForwardPath::BurstFunction* forward_burst_avx512(bool remote) noexcept;
#elif defined(__aarch64__)
[[nodiscard]] ForwardPath::BurstFunction* forward_burst_neon(bool remote) noexcept;
#endif

}  // namespace pollux::drivers::intel
