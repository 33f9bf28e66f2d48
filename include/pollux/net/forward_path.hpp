// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <memory>
#include <mutex>

#include "pollux/base/api.hpp"
#include "pollux/device/bar.hpp"
#include "pollux/net/burst_gate.hpp"

namespace pollux {

class ForwardPorts;

/// A frame on its way through a ForwardPath.
struct ForwardedFrame {
  std::uint8_t* data;           ///< the Ethernet header's first byte; the frame may be edited in place
  std::uint32_t length;         ///< bytes that lie there
  std::uint32_t packet_length;  ///< bytes of the whole frame: more than `length` where it came in several buffers
};

/// Capability of two queues of one driver: frames go from a receive ring straight to a transmit ring. The buffer of a
/// frame that arrived and that of one that was sent change places, so no mbuf is touched, no pool and no cache. For
/// whoever forwards everything: metadata, drops and copies need rx_burst and tx_burst. `Port::forward_path` makes it.
///
/// While it lives, the two queues are its own: their rx_burst and tx_burst yield and take nothing. It moves frames
/// while both ports are started. Their statistics count its frames as they do those of bursts. Ownership: the caller's;
/// it may outlive the ports, and moves nothing then. When it goes away, the queues are as before. Thread rule: `burst`
/// on one thread at a time; making and destroying it are control calls of both ports, from any thread but not while
/// another is in `burst`.
class POLLUX_API ForwardPath {
 public:
  static constexpr std::uint32_t kMaxBurst = 64;
  /// What a driver supplies: fills `frames`, writes their descriptors and leaves in `tail_` what the transmit queue's
  /// doorbell is to say. `limit` is 1 to kMaxBurst.
  using BurstFunction = std::uint32_t(ForwardPath& path, ForwardedFrame* frames, std::uint32_t limit) noexcept;
  using ControlLocks = std::array<std::unique_lock<std::mutex>, 2>;

  ForwardPath(const ForwardPath&) = delete;
  ForwardPath& operator=(const ForwardPath&) = delete;
  virtual ~ForwardPath();

  /// Moves frames that have arrived, in order, as many as there are and the transmit ring has room for, at most `limit`
  /// and kMaxBurst; shows each to `edit(ForwardedFrame&)` before the card may send it. Returns how many. Frames that
  /// cannot be sent are counted in the statistics of the port that refused them. Never waits.
  template <std::invocable<ForwardedFrame&> Edit>
  [[gnu::always_inline]] std::uint32_t burst(std::uint32_t limit, Edit&& edit) noexcept {
    if (limit - 1 >= kMaxBurst) [[unlikely]] {
      if (limit == 0) return 0;
      limit = kMaxBurst;
    }
    ForwardedFrame frames[kMaxBurst];
    return gate_.call_then(
        [&](std::uint32_t count) noexcept {
          if (count == 0) return;
          ForwardedFrame* frame = frames;
          for (std::uint32_t left = count; left != 0; --left) edit(*frame++);
          if (doorbell_.is_mapped()) [[likely]] {
            doorbell_.ring_mapped(tail_);
          } else {
            doorbell_.ring(tail_);
            doorbell_.flush();
          }
        },
        *this, frames, limit);
  }

 protected:
  ForwardPath() noexcept;
  /// For the driver's destructor: as long as the result lives no control call of either port runs.
  [[nodiscard]] ControlLocks lock_ports() const;
  static std::uint32_t idle(ForwardPath&, ForwardedFrame*, std::uint32_t) noexcept { return 0; }

  BurstGate<BurstFunction> gate_;
  std::uint32_t tail_ = 0;
  Doorbell doorbell_;

 private:
  friend class Port;

  std::unique_ptr<ForwardPorts> ports_;
};

}  // namespace pollux
