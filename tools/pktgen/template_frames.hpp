// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "pktgen/field_range.hpp"
#include "pktgen/frame_file.hpp"
#include "pktgen/frame_source.hpp"

namespace pollux::tools {

/// Sends a user's frames in turn, without end, with fields that change from one use of a frame to the next. Checksums
/// of IPv4, TCP, UDP, UDP-Lite, DCCP and ICMPv6 are adjusted by the change (RFC 1624), so that a wrong one stays wrong.
/// They cover the addresses of the pseudo-header (packet::pseudo_header_places): an address of the IP header that is
/// none of them is varied without a change of the checksum.
class TemplateFrames final : public FrameSource {
 public:
  /// One of several queues that share a sequence of frames in turn.
  struct Part {
    std::uint32_t queue = 0;
    std::uint32_t queues = 1;
  };

  /// Errors: invalid_argument, which names the frame and the field, if a frame lacks a field of a range, or has a
  /// checksum of the field that cannot be adjusted: of another protocol, or in a later fragment.
  [[nodiscard]] static Result<std::unique_ptr<FrameSource>> create(Recording frames,
                                                                   const std::vector<FieldRange>& ranges,
                                                                   const Part& part);

  [[nodiscard]] std::uint32_t next_length() const noexcept override;
  [[nodiscard]] bool build(Mbuf& mbuf, MempoolCache& cache) noexcept override;

 private:
  /// A field at its place in one template.
  struct PlacedField {
    const FieldRange* range;
    std::uint16_t at;
    std::uint16_t ip_checksum_at;  // 0 if there is none to adjust
    std::uint16_t l4_checksum_at;  // likewise
    bool zero_is_none;             // of the latter: a computed 0 is sent as all ones
  };
  struct Template {
    std::vector<std::uint8_t> bytes;  // as sent last
    std::vector<PlacedField> fields;

    /// The bytes of a use.
    const std::vector<std::uint8_t>& varied(std::uint64_t use) noexcept;
    void set(const PlacedField& field, std::uint64_t use) noexcept;
    void adjust(std::uint16_t checksum_at, std::uint16_t before, std::uint16_t after, bool zero_is_none) noexcept;
  };

  TemplateFrames(Recording frames, const std::vector<FieldRange>& ranges, const Part& part)
      : frames_(std::move(frames)), ranges_(ranges), queues_(part.queues), next_(part.queue) {}
  [[nodiscard]] Result<void> add(const RecordedFrame& frame, std::size_t number);

  Recording frames_;
  std::vector<FieldRange> ranges_;
  std::vector<Template> templates_;  // one for each frame; none without ranges, as the frames are sent unchanged
  std::uint64_t queues_;
  std::uint64_t next_;  // the frame, of those of all queues
};

}  // namespace pollux::tools
