// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <cstdint>

namespace pollux::drivers::igb {

/// Counts frames that passed the card's filters and never reached a receive ring: good frames less delivered frames,
/// from each start of the port to its stop. A register (RQDPC) counts them too, but only in 12 bits.
///
/// `good` and `delivered` are totals since the port was opened. On a running card, the result may be too low. It is
/// never too high and never decreases: `good` is read before `delivered`, which includes frames that arrived meanwhile.
class MissedFrames {
 public:
  /// Called when the port starts. `may_wait`: there is a queue whose frames wait in the packet buffer if they find no
  /// descriptor. They are not lost before the stop. `no_descriptor`: a total of frames that the card dropped and
  /// counted for want of a descriptor.
  void begin(std::uint64_t good, std::uint64_t delivered, bool may_wait, std::uint64_t no_descriptor) noexcept {
    good_before_ = good;
    delivered_before_ = delivered;
    no_descriptor_before_ = no_descriptor;
    may_wait_ = may_wait;
    running_ = true;
  }
  /// Called when a queue starts whose frames may wait, while the port runs.
  void frames_may_wait() noexcept { may_wait_ = true; }
  /// Called while the port runs. At most `delivered` frames have reached its rings.
  void update(std::uint64_t good, std::uint64_t delivered) noexcept {
    if (running_ && !may_wait_) so_far_ = std::max(so_far_, excess(good, delivered));
  }
  /// Called when the port has stopped. Exactly `delivered` frames have reached its rings. If frames may have waited,
  /// those that the card did not count as dropped were waiting.
  void end(std::uint64_t good, std::uint64_t delivered, std::uint64_t no_descriptor) noexcept {
    if (!running_) return;
    const std::uint64_t missed = std::max(so_far_, excess(good, delivered));
    const std::uint64_t counted = std::max(so_far_, no_descriptor - no_descriptor_before_);
    const std::uint64_t dropped = may_wait_ ? std::min(missed, counted) : missed;
    no_descriptor_ += dropped;
    stopped_ += missed - dropped;
    so_far_ = 0;
    running_ = false;
  }

  /// Whether `update` could change anything.
  [[nodiscard]] bool needs_update() const noexcept { return running_ && !may_wait_; }
  /// Frames dropped because there was no descriptor.
  [[nodiscard]] std::uint64_t no_descriptor() const noexcept { return no_descriptor_ + so_far_; }
  /// Frames in the packet buffer when the port stopped.
  [[nodiscard]] std::uint64_t stopped() const noexcept { return stopped_; }

 private:
  /// A card may deliver more frames than it counts: another driver may have reset it, or its counters may be wrong. The
  /// result is 0 then, not negative.
  [[nodiscard]] std::uint64_t excess(std::uint64_t good, std::uint64_t delivered) const noexcept {
    const std::uint64_t counted = good - good_before_;
    const std::uint64_t arrived = delivered - delivered_before_;
    return counted > arrived ? counted - arrived : 0;
  }

  std::uint64_t good_before_ = 0;
  std::uint64_t delivered_before_ = 0;
  std::uint64_t no_descriptor_before_ = 0;
  std::uint64_t so_far_ = 0;  // since the start
  std::uint64_t no_descriptor_ = 0;
  std::uint64_t stopped_ = 0;
  bool may_wait_ = false;
  bool running_ = false;
};

}  // namespace pollux::drivers::igb
