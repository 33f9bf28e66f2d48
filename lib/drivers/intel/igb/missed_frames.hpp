// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <cstdint>

namespace pollux::drivers::igb {

/// Frames that passed the card's filters and never came into a receive ring: those that the card counted as good less
/// those that it delivered, from one start of the port to its stop. A register counts them, too (RQDPC), but in 12
/// bits.
///
/// Both numbers are sums since the port was opened. What is said of a running card may be too little, never too much,
/// and never less than before: `good` is read before `delivered`, which takes in what came meanwhile.
class MissedFrames {
 public:
  /// The port starts. `waits`: frames without a descriptor wait in the packet buffer, and none is lost before the stop.
  void begin(std::uint64_t good, std::uint64_t delivered, bool waits) noexcept {
    good_before_ = good;
    delivered_before_ = delivered;
    waits_ = waits;
    running_ = true;
  }
  /// The port runs, and at most `delivered` frames came into its rings.
  void look(std::uint64_t good, std::uint64_t delivered) noexcept {
    if (running_ && !waits_) so_far_ = std::max(so_far_, excess(good, delivered));
  }
  /// The port has stopped, and exactly `delivered` came.
  void end(std::uint64_t good, std::uint64_t delivered) noexcept {
    if (!running_) return;
    (waits_ ? stopped_ : no_descriptor_) += std::max(so_far_, excess(good, delivered));
    so_far_ = 0;
    running_ = false;
  }

  /// Whether `look` would change anything.
  [[nodiscard]] bool wants_look() const noexcept { return running_ && !waits_; }
  /// Dropped for want of a descriptor.
  [[nodiscard]] std::uint64_t no_descriptor() const noexcept { return no_descriptor_ + so_far_; }
  /// In the packet buffer when the port stopped.
  [[nodiscard]] std::uint64_t stopped() const noexcept { return stopped_; }

 private:
  /// A card may deliver more than it counts (one that was reset by others, or that lies): that is no negative loss.
  [[nodiscard]] std::uint64_t excess(std::uint64_t good, std::uint64_t delivered) const noexcept {
    const std::uint64_t counted = good - good_before_;
    const std::uint64_t came = delivered - delivered_before_;
    return counted > came ? counted - came : 0;
  }

  std::uint64_t good_before_ = 0;
  std::uint64_t delivered_before_ = 0;
  std::uint64_t so_far_ = 0;  // since the start
  std::uint64_t no_descriptor_ = 0;
  std::uint64_t stopped_ = 0;
  bool waits_ = false;
  bool running_ = false;
};

}  // namespace pollux::drivers::igb
