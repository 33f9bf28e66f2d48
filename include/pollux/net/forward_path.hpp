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

/// A frame that a ForwardPath forwards.
struct ForwardedFrame {
  std::uint8_t* data;           ///< first byte of the Ethernet header; the frame may be edited in place
  std::uint32_t length;         ///< bytes at `data`
  std::uint32_t packet_length;  ///< bytes of the whole frame; more than `length` if the frame is in several buffers
};

/// Forwards frames from a receive queue directly to a transmit queue of the same driver. The buffers of a received and
/// of a sent frame are exchanged, so no mbuf, pool or cache is used. It suits programs that forward every frame;
/// metadata, drops and copies need rx_burst and tx_burst. `Port::forward_path` creates it.
///
/// While it exists, it uses the two queues exclusively: their rx_burst returns no frames and their tx_burst takes none.
/// It forwards while both ports are started. The ports' statistics count its frames like those of bursts.
/// Ownership: the caller's. It may outlive the ports and then forwards nothing. After its destruction the queues work
/// as before.
/// Thread rule: `burst` on one thread at a time. Creating and destroying it are control calls of both ports: they may
/// be called from any thread, but not while another thread is in `burst`.
class POLLUX_API ForwardPath {
 public:
  static constexpr std::uint32_t kMaxBurst = 64;  ///< frames
  /// The driver's function: fills `frames`, writes their descriptors and stores the transmit queue's new tail in
  /// `tail_`. Takes at most `limit` and kMaxBurst frames.
  using BurstFunction = std::uint32_t(ForwardPath& path, ForwardedFrame* frames, std::uint32_t limit) noexcept;
  /// Of the ports of both queues; of one, if they are the same port's.
  using ControlLocks = std::array<std::unique_lock<std::mutex>, 2>;

  ForwardPath(const ForwardPath&) = delete;
  ForwardPath& operator=(const ForwardPath&) = delete;
  virtual ~ForwardPath();

  /// Forwards received frames in order: as many as have arrived and the transmit ring has room for, at most `limit` and
  /// kMaxBurst. Calls `edit(ForwardedFrame&)` for each before the card may send it; it must neither throw nor call the
  /// path or the ports. Returns their number. Frames that cannot be sent are counted in the statistics of the port that
  /// rejected them. Never waits.
  template <std::invocable<ForwardedFrame&> Edit>
  [[gnu::always_inline]] std::uint32_t burst(std::uint32_t limit, Edit&& edit) noexcept {
    ForwardedFrame frames[kMaxBurst];
    return gate_.call_then(
        [&](std::uint32_t count) noexcept {
          if (count == 0) return;
          ForwardedFrame* frame = frames;
          do {
            edit(*frame++);
            // Counting the frames takes fewer instructions for a single one than computing the array's end, to which
            // the compiler would change this loop.
            __asm__("" : "+r"(count));
          } while (--count != 0);
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
  /// For the driver's destructor: no control call of either port runs while the result exists.
  [[nodiscard]] ControlLocks lock_ports() const;
  /// For the driver: the burst function of a closed path, the gate that Port opens and closes, and the transmit queue's
  /// next tail and where to write it.
  ///@{
  static std::uint32_t idle(ForwardPath&, ForwardedFrame*, std::uint32_t) noexcept { return 0; }

  BurstGate<BurstFunction> gate_;
  std::uint32_t tail_ = 0;
  Doorbell doorbell_;
  ///@}

 private:
  friend class Port;

  std::unique_ptr<ForwardPorts> ports_;
};

}  // namespace pollux
