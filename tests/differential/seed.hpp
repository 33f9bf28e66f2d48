// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <cstdint>
#include <random>

namespace pollux::differential {

/// The seed of random steps: POLLUX_SEED if set, else a new one for each run. It is printed, so that a failure can be
/// reproduced.
[[nodiscard]] std::uint64_t choose_seed();

/// Duration of a random test: POLLUX_DIFFERENTIAL_SECONDS, or a few seconds.
[[nodiscard]] std::chrono::seconds choose_duration();

class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  /// 0 to `end` - 1.
  [[nodiscard]] std::uint32_t below(std::uint32_t end) { return static_cast<std::uint32_t>(engine_() % end); }
  [[nodiscard]] std::uint32_t between(std::uint32_t first, std::uint32_t last) {
    return first + below(last - first + 1);
  }
  /// True once in `in`.
  [[nodiscard]] bool once(std::uint32_t in) { return below(in) == 0; }
  [[nodiscard]] std::uint32_t word() { return static_cast<std::uint32_t>(engine_()); }
  [[nodiscard]] std::uint8_t byte() { return static_cast<std::uint8_t>(engine_() & 0xFF); }

 private:
  std::mt19937_64 engine_;  // the standard defines its sequence, so a seed gives the same on every platform
};

}  // namespace pollux::differential
