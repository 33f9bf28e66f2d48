// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "runtime/gro/segment.hpp"

namespace pollux::gro {

/// What the next frame of a flow looks like if it is a full segment in one mbuf, whose checksums the port found good,
/// and has nothing new in its headers but sequence number, checksums and IPv4 identification. It is compared as words,
/// without reading the headers one by one. A frame that differs may belong to the flow all the same.
class Expected {
 public:
  /// Bytes of the frame that are compared: Ethernet with a tag, IPv6 and TCP with timestamps fit. Shorter frames do not
  /// match.
  static constexpr std::uint32_t kBytes = 96;

  /// Nothing matches.
  Expected() noexcept {}
  /// From the first segment of a flow. Nothing matches if its checksums are not known to be good, its headers are
  /// longer than `kBytes`, it has CWR, or IPv6 extension headers.
  explicit Expected(const Segment& first) noexcept;

  /// Whether `mbuf` and its metadata are as expected. It then has `kBytes` bytes at least.
  [[nodiscard]] bool matches_mbuf(const Mbuf& mbuf) const noexcept {
    return (((MbufAccess::word(mbuf) & kWordMask) ^ word_) | ((mbuf.rx_word(0) & rx_low_mask_) ^ rx_low_) |
            (mbuf.rx_word(1) ^ rx_high_)) == 0;
  }
  /// Whether the masked headers are. `bytes`: of a frame for which `matches_mbuf` is true.
  [[nodiscard]] bool matches_headers(const std::uint8_t* bytes) const noexcept {
    Vector differing{};
    for (std::size_t i = 0; i < kVectors; ++i) {
      Vector words;
      std::memcpy(&words, bytes + i * sizeof words, sizeof words);
      differing |= (words & mask_[i]) ^ headers_[i];
    }
    return (differing[0] | differing[1]) == 0;
  }

 private:
  // The compilers make vector instructions of the operations on these.
  using Vector = std::uint64_t __attribute__((vector_size(16)));
  static constexpr std::size_t kVectors = kBytes / sizeof(Vector);
  /// Data length, special and receive format.
  static constexpr std::uint64_t kWordMask = std::uint64_t{0xFFFF} | std::uint64_t{0xFF} << MbufAccess::kSpecialShift |
                                             std::uint64_t{0xF000} << MbufAccess::kOriginShift;
  /// Masked, no word equals this one.
  static constexpr std::uint64_t kNever = std::uint64_t{1} << MbufAccess::kPoolShift;

  void set_headers(const Segment& first) noexcept;

  std::uint64_t word_ = kNever;
  std::uint64_t rx_low_ = 0;
  std::uint64_t rx_low_mask_ = 0;
  std::uint64_t rx_high_ = 0;
  // Not initialised if nothing matches.
  std::array<Vector, kVectors> headers_;  ///< those of the first segment, masked
  std::array<Vector, kVectors> mask_;
};

}  // namespace pollux::gro
