// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <bit>
#include <cstdint>

namespace pollux::queueing {

/// How long bytes take at a rate, in nanoseconds, without a division for each frame: the time of a byte is kept as a
/// fixed-point number with 32 significant bits. The result is rounded down.
class ByteTime {
 public:
  ByteTime() = default;
  /// `rate`: bytes per second, 1 or more.
  explicit ByteTime(std::uint64_t rate) noexcept : rate_(rate) {
    constexpr std::uint64_t kSecond = 1'000'000'000;
    // The largest scale at which the number still fits in 32 bits and a second in 64.
    const int most = std::countl_zero(kSecond);
    while (shift_ < most && (Wide{kSecond} << shift_) / rate < (Wide{1} << 31)) ++shift_;
    factor_ = static_cast<std::uint64_t>((Wide{kSecond} << shift_) / rate);
  }

  [[nodiscard]] std::int64_t of(std::uint64_t bytes) const noexcept {
    return static_cast<std::int64_t>(bytes * factor_ >> shift_);
  }
  /// Bytes for which `nanoseconds` are enough.
  [[nodiscard]] std::uint64_t bytes_in(std::int64_t nanoseconds) const noexcept {
    return static_cast<std::uint64_t>(static_cast<Wide>(nanoseconds) * rate_ / 1'000'000'000);
  }

 private:
  __extension__ using Wide = unsigned __int128;
  std::uint64_t rate_ = 1;
  std::uint64_t factor_ = 0;
  int shift_ = 0;
};

}  // namespace pollux::queueing
