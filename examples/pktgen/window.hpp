// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "pollux/base/clock.hpp"

namespace pollux::examples {

/// Bounds the frames between a sender and a receiver: a wire that cannot push back then has no reason to drop one, and
/// the rate is what the way between the two carries. Frames that are lost on it are given up when nothing has come for
/// a while.
class Window {
 public:
  static constexpr Duration kPatience = std::chrono::seconds(2);

  Window(std::optional<std::uint64_t> frames, Duration start) : frames_(frames), last_change_(start) {}

  /// Whether more may be sent.
  [[nodiscard]] bool open(std::uint64_t sent, std::uint64_t received) const noexcept {
    return !frames_ || sent < received + given_up_ + *frames_;
  }
  /// Called now and then.
  void look(Duration now, std::uint64_t sent, std::uint64_t received) noexcept {
    if (received != received_ || open(sent, received)) {
      received_ = received;
      last_change_ = now;
    } else if (now - last_change_ > kPatience) {
      given_up_ = sent - received;
      last_change_ = now;  // what goes out in their place has as long
    }
  }

 private:
  std::optional<std::uint64_t> frames_;
  std::uint64_t given_up_ = 0;
  std::uint64_t received_ = 0;
  Duration last_change_;
};

}  // namespace pollux::examples
