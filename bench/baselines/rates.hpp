// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>

#include "work.hpp"

/// Loops that run for a given time and count frames. They need a guest that runs in real time.
namespace baselines {

class Deadline {
 public:
  explicit Deadline(double seconds)
      : end_(Clock::now() + std::chrono::duration_cast<Clock::duration>(Seconds(seconds))) {}

  /// Reads the clock only once in 64 calls, because reading it costs more than a burst.
  [[nodiscard]] bool reached() noexcept { return ++looks_ % 64 == 0 && Clock::now() >= end_; }

 private:
  using Clock = std::chrono::steady_clock;
  using Seconds = std::chrono::duration<double>;
  Clock::time_point end_;
  std::uint32_t looks_ = 0;
};

/// Sends the packets once, and returns the number of sent ones. The caller retries the rest in its next round.
template <class Side, unsigned B>
[[gnu::always_inline]] inline std::uint32_t pass_on(Side& side, unsigned port,
                                                    typename Side::template Packets<B>& packets) {
  const std::uint32_t had = packets.size();
  if (had != 0) side.tx(port, packets);
  return had - packets.size();
}

/// Forwards in both directions between two ports of one hub. One burst circulates in each direction, as in testpmd's io
/// forwarding after tx_first.
template <class Side, unsigned B>
std::uint64_t forward_for(Side& side, double seconds) {
  typename Side::template Packets<B> there;
  typename Side::template Packets<B> back;
  for (const unsigned port : {0U, 1U}) {
    if (!side.alloc(there)) give_up("the pool is exhausted");
    side.fill(there, broadcast_frame());
    send_all<Side, B>(side, port, there);
  }
  std::uint64_t frames = 0;
  for (Deadline deadline(seconds); !deadline.reached();) {
    side.rx(0, there);
    frames += pass_on<Side, B>(side, 1, there);
    side.rx(1, back);
    frames += pass_on<Side, B>(side, 0, back);
  }
  side.free(there);
  side.free(back);
  return frames;
}

/// Port 0 sends. Each frame is newly allocated and filled.
template <class Side, unsigned B>
std::uint64_t txonly_for(Side& side, double seconds) {
  const Frame frame = broadcast_frame();
  typename Side::template Packets<B> packets;
  std::uint64_t frames = 0;
  for (Deadline deadline(seconds); !deadline.reached();) {
    if (packets.size() == 0) {
      if (!side.alloc(packets)) continue;
      side.fill(packets, frame);
    }
    frames += pass_on<Side, B>(side, 0, packets);
  }
  side.free(packets);
  return frames;
}

/// Port 0 receives the frames of another sender.
template <class Side, unsigned B>
std::uint64_t rxonly_for(Side& side, double seconds) {
  typename Side::template Packets<B> packets;
  std::uint64_t frames = 0;
  for (Deadline deadline(seconds); !deadline.reached();) {
    side.rx(0, packets);
    frames += packets.size();
    side.free(packets);
  }
  return frames;
}

}  // namespace baselines
