// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "pollux/base/clock.hpp"

namespace pollux::tools {

/// Limits the frames in flight between a sender and a receiver, so that a wire without flow control drops none, and the
/// rate is that of the path between the two. Frames count as lost when nothing has arrived for a while.
class Window {
 public:
  static constexpr Duration kLossTimeout = std::chrono::seconds(2);

  Window(std::optional<std::uint64_t> frames, Duration start) : frames_(frames), last_change_(start) {}

  /// Whether more may be sent.
  [[nodiscard]] bool open(std::uint64_t sent, std::uint64_t received) const noexcept {
    return !frames_ || sent < received + given_up_ + *frames_;
  }
  /// Call this periodically.
  void update(Duration now, std::uint64_t sent, std::uint64_t received) noexcept {
    if (received != received_ || open(sent, received)) {
      received_ = received;
      last_change_ = now;
    } else if (now - last_change_ > kLossTimeout) {
      given_up_ = sent - received;
      last_change_ = now;  // frames sent in their place have the same time
    }
  }

 private:
  std::optional<std::uint64_t> frames_;
  std::uint64_t given_up_ = 0;
  std::uint64_t received_ = 0;
  Duration last_change_;
};

}  // namespace pollux::tools
