// SPDX-License-Identifier: BSD-3-Clause
#include "pktgen/template_frames.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "common/frame.hpp"
#include "pollux/net/packet/byte_order.hpp"
#include "pollux/net/packet/sums.hpp"

namespace pollux::examples {
namespace {

constexpr std::uint16_t kIpChecksum = 10;   // RFC 791, 3.1
constexpr std::uint16_t kTcpChecksum = 16;  // RFC 9293, 3.1
constexpr std::uint16_t kUdpChecksum = 6;   // RFC 768

/// The place of the TCP or UDP checksum; 0 if the frame has none, or says that it has none.
std::uint16_t l4_checksum_at(const packet::Layout& layout, const std::vector<std::uint8_t>& bytes) {
  if (layout.type.has(PacketType::tcp)) return static_cast<std::uint16_t>(layout.l4 + kTcpChecksum);
  if (!layout.type.has(PacketType::udp)) return 0;
  const auto at = static_cast<std::uint16_t>(layout.l4 + kUdpChecksum);
  return packet::load16(&bytes[at]) == 0 ? std::uint16_t{0} : at;
}

/// The 16-bit words of a value, the first on the wire first, in the last places.
std::array<std::uint16_t, 8> words_of(const FieldRange& range, std::uint64_t use) {
  std::array<std::uint16_t, 8> words{};
  const std::array<std::uint64_t, 2> halves{range.prefix, range.value(use)};
  for (std::size_t i = 0; i < words.size(); ++i)
    words[i] = static_cast<std::uint16_t>(halves[i / 4] >> (48U - i % 4 * 16));
  return words;
}

}  // namespace

Result<std::unique_ptr<FrameSource>> TemplateFrames::create(std::vector<RecordedFrame> frames,
                                                            const std::vector<FieldRange>& ranges, const Part& part) {
  std::unique_ptr<TemplateFrames> source(new TemplateFrames(ranges, part));
  for (std::size_t i = 0; i < frames.size(); ++i) {
    if (auto added = source->add(std::move(frames[i]), i + 1); !added) return pass_on(std::move(added));
  }
  return std::unique_ptr<FrameSource>(std::move(source));
}

Result<void> TemplateFrames::add(RecordedFrame frame, std::size_t number) {
  const packet::Layout layout = packet::parse(frame.bytes);
  const std::uint16_t checksum = l4_checksum_at(layout, frame.bytes);
  Template made{std::move(frame.bytes), {}};
  for (const FieldRange& range : ranges_) {
    const FrameField& field = *range.field;
    const auto at = field.position(layout);
    if (!at) {
      return fail(ErrorCode::invalid_argument, fmt::format("frame {} of the template has no {}", number, field.name),
                  "vary a field that every frame of the file has");
    }
    made.fields.push_back({.range = &range,
                           .at = *at,
                           .ip_checksum_at = field.in_ip_checksum ? static_cast<std::uint16_t>(layout.l3 + kIpChecksum)
                                                                  : std::uint16_t{0},
                           .l4_checksum_at = field.in_l4_checksum ? checksum : std::uint16_t{0},
                           .is_udp = layout.type.has(PacketType::udp)});
  }
  templates_.push_back(std::move(made));
  return {};
}

std::uint32_t TemplateFrames::next_length() const noexcept {
  return static_cast<std::uint32_t>(templates_[next_ % templates_.size()].bytes.size());
}

bool TemplateFrames::build(Mbuf& mbuf, MempoolCache& cache) noexcept {
  Template& next = templates_[next_ % templates_.size()];
  for (const PlacedField& field : next.fields) next.set(field, next_ / templates_.size());
  if (!append_chained(mbuf, cache, next.bytes)) return false;
  next_ += queues_;
  return true;
}

void TemplateFrames::Template::set(const PlacedField& placed, std::uint64_t use) noexcept {
  const FrameField& field = *placed.range->field;
  const std::array<std::uint16_t, 8> words = words_of(*placed.range, use);
  const std::size_t unused = words.size() - field.bytes / 2U;
  for (std::size_t i = unused; i < words.size(); ++i) {
    std::uint8_t* const at = &bytes[placed.at + (i - unused) * 2];
    const std::uint16_t before = packet::load16(at);
    // A number may share its word with other bits, as a VLAN does.
    const std::uint16_t kept = field.form == FrameField::Form::number ? before & ~field.most & 0xFFFF : 0;
    const auto after = static_cast<std::uint16_t>(kept | words[i]);
    packet::store16(at, after);
    adjust(placed.ip_checksum_at, before, after, false);
    adjust(placed.l4_checksum_at, before, after, placed.is_udp);
  }
}

void TemplateFrames::Template::adjust(std::uint16_t checksum_at, std::uint16_t before, std::uint16_t after,
                                      bool is_udp) noexcept {
  if (checksum_at == 0 || before == after) return;
  std::uint8_t* const at = &bytes[checksum_at];
  const std::uint16_t adjusted = packet::updated_checksum(packet::load16(at), before, after);
  packet::store16(at, is_udp ? packet::udp_checksum(adjusted) : adjusted);
}

}  // namespace pollux::examples
