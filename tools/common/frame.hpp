// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "pollux/mem/mbuf.hpp"
#include "pollux/mem/mempool.hpp"
#include "pollux/net/link.hpp"

namespace pollux::tools {

/// The frames that pktgen sends: Ethernet, IPv4 and UDP, then a magic word, a stamp, and a pattern that depends on the
/// position of each byte. Flow F is from 198.18.(F mod 256).1, port 9 + F / 256, to 198.18.0.2 (RFC 2544's range), port
/// 9. The stamp contains the flow, the frame's number in it and a checksum of both, and is repeated every
/// kStampInterval bytes, so that a part of another frame is detected. All lengths are those in memory, without the
/// frame check sequence of 4 bytes that the card adds: a 64-byte frame has 60.
namespace frame {
inline constexpr std::uint32_t kMinLength = 60;
inline constexpr std::uint32_t kMaxLength = 9720;
inline constexpr std::uint32_t kHeadersEnd = 42;
inline constexpr std::uint32_t kMagicAt = kHeadersEnd;
inline constexpr std::uint32_t kFirstStampAt = kMagicAt + 4;
inline constexpr std::uint32_t kStampBytes = 12;
inline constexpr std::uint32_t kStampInterval = 512;
/// The number of a frame in its flow is below this.
inline constexpr std::uint64_t kMaxSequence = std::uint64_t{1} << 48U;
inline constexpr std::uint32_t kMaxFlows = 65536;
/// The MAC addresses may be rewritten on the way; the rest may not.
inline constexpr std::uint32_t kCheckedFrom = 12;

/// Calls `stamp(offset)` for each position of the stamp in a frame of `length` bytes.
template <class Stamp>
constexpr void for_each_stamp(std::uint32_t length, Stamp stamp) {
  for (std::uint32_t at = kFirstStampAt; at + kStampBytes <= length; at += kStampInterval) stamp(at);
}
}  // namespace frame

/// The bytes of a complete frame with the number zero. `length` is kMinLength to kMaxLength.
[[nodiscard]] std::vector<std::uint8_t> make_frame(std::uint32_t length, const MacAddress& destination,
                                                   const MacAddress& source, std::uint16_t flow = 0);

/// Appends `bytes` to the empty `mbuf`, and chains further buffers from `cache` to it if one is too small. False if
/// `cache` is exhausted: the buffers chained so far stay with `mbuf`.
[[nodiscard]] bool append_chained(Mbuf& mbuf, MempoolCache& cache, std::span<const std::uint8_t> bytes) noexcept;

/// Makes frames of one length: copies a template and writes the flow and the stamp.
class FrameBuilder {
 public:
  FrameBuilder(std::uint32_t length, const MacAddress& destination, const MacAddress& source)
      : bytes_(make_frame(length, destination, source)) {}

  [[nodiscard]] std::uint32_t length() const noexcept { return static_cast<std::uint32_t>(bytes_.size()); }
  /// Fills the empty `mbuf` as append_chained does. `sequence` is below kMaxSequence.
  [[nodiscard]] bool build(Mbuf& mbuf, MempoolCache& cache, std::uint64_t sequence, std::uint16_t flow = 0) noexcept;

 private:
  std::vector<std::uint8_t> bytes_;
  std::uint16_t flow_ = 0;  // of `bytes_`
};

/// Checks received frames.
class FrameChecker {
 public:
  enum class Status {
    good,
    corrupt,  ///< headers or magic word are pktgen's, but the frame was changed
    foreign,  ///< pktgen did not send it
  };
  struct CheckResult {
    Status status = Status::foreign;
    std::uint64_t sequence = 0;  ///< of a good frame, in its flow
    std::uint16_t flow = 0;      ///< of a good frame
  };

  FrameChecker();
  [[nodiscard]] CheckResult check(const Mbuf& mbuf);

 private:
  [[nodiscard]] CheckResult check_bytes(std::span<const std::uint8_t> bytes);
  [[nodiscard]] bool is_ours(std::span<const std::uint8_t> bytes) const noexcept;
  /// Makes `expected_` begin with the frame of this flow and length.
  void expect(std::uint16_t flow, std::uint32_t length);

  std::vector<std::uint8_t> expected_;  // as long as the longest frame
  std::uint32_t length_ = 0;            // in the headers of `expected_`
  std::uint16_t flow_ = 0;              // there
  std::vector<std::uint8_t> joined_;    // a chain's bytes
};

}  // namespace pollux::tools
