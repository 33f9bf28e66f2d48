// SPDX-License-Identifier: BSD-3-Clause
#include "pktgen/template_frames.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "common/frame.hpp"
#include "pollux/net/packet/byte_order.hpp"
#include "pollux/net/packet/ip.hpp"
#include "pollux/net/packet/sums.hpp"

namespace pollux::tools {
namespace {

constexpr std::uint16_t kIpChecksum = 10;  // RFC 791, 3.1

/// A protocol whose checksum covers the addresses of the IP header, too.
struct AddressChecksum {
  std::uint8_t protocol;
  std::uint16_t offset;   // in its header; 0: pktgen cannot adjust it
  bool in_ipv4 = true;    // and in IPv6 always
  bool has_none = false;  // a field of 0 says that there is no checksum
};
constexpr std::array kAddressChecksums{
    AddressChecksum{.protocol = packet::ip_protocol::kTcp, .offset = 16},                   // RFC 9293, 3.1
    AddressChecksum{.protocol = packet::ip_protocol::kUdp, .offset = 6, .has_none = true},  // RFC 768
    AddressChecksum{.protocol = 136, .offset = 6, .has_none = true},                        // UDP-Lite: RFC 3828, 3.1
    AddressChecksum{.protocol = 33, .offset = 6},                                           // DCCP: RFC 4340, 5.1
    AddressChecksum{.protocol = packet::ip_protocol::kIcmpv6, .offset = 2, .in_ipv4 = false},  // RFC 4443, 2.3
    AddressChecksum{.protocol = 51, .offset = 0},                     // authentication header: RFC 4302, 3.3.3
    AddressChecksum{.protocol = 89, .offset = 0, .in_ipv4 = false},   // OSPF: RFC 5340, A.3.1
    AddressChecksum{.protocol = 103, .offset = 0, .in_ipv4 = false},  // PIM: RFC 7761, 4.9
    AddressChecksum{.protocol = 112, .offset = 0},                    // VRRP, depending on its version: RFC 9568, 5.2.8
    AddressChecksum{.protocol = 135, .offset = 0},                    // mobility header: RFC 6275, 6.1.1
    AddressChecksum{.protocol = 139, .offset = 0},                    // HIP: RFC 7401, 5.1.1
    // Extension headers that the parser does not skip: Shim6 (RFC 5533) and experiments (RFC 3692).
    AddressChecksum{.protocol = 140, .offset = 0, .in_ipv4 = false},
    AddressChecksum{.protocol = 253, .offset = 0, .in_ipv4 = false},
    AddressChecksum{.protocol = 254, .offset = 0, .in_ipv4 = false},
};

/// The checksum that covers the addresses of a frame; nullptr if there is none.
const AddressChecksum* address_checksum(const packet::Layout& layout) {
  if (layout.l4 == 0) return nullptr;
  const bool is_ipv4 = layout.type.has(PacketType::ipv4);
  const auto* const found = std::ranges::find(kAddressChecksums, layout.protocol, &AddressChecksum::protocol);
  return found == kAddressChecksums.end() || (is_ipv4 && !found->in_ipv4) ? nullptr : found;
}

/// The place of a checksum in a frame: 0 if it has none, nothing if pktgen cannot adjust it.
std::optional<std::uint16_t> place_of(const AddressChecksum* checksum, const packet::Layout& layout,
                                      const std::vector<std::uint8_t>& bytes) {
  if (checksum == nullptr) return 0;
  const auto at = static_cast<std::uint16_t>(layout.l4 + checksum->offset);
  const bool is_inside = at + 2 <= layout.end;
  // The rest of a fragmented packet may have it.
  if (checksum->offset == 0 || (!is_inside && layout.fragment != packet::Fragment::none)) return std::nullopt;
  if (!is_inside) return 0;
  return checksum->has_none && packet::load16(&bytes[at]) == 0 ? std::uint16_t{0} : at;
}

/// Whether layer 4's checksum covers the field at `at`; nothing if that is unknown. It covers the addresses of the
/// pseudo-header, which may not be those of the IP header.
std::optional<bool> is_covered(const FrameField& field, std::uint16_t at, const std::vector<std::uint8_t>& bytes,
                               const packet::Layout& layout) {
  if (!field.in_l4_checksum || !field.is_address()) return field.in_l4_checksum;
  const auto places = packet::pseudo_header_places(bytes, layout);
  if (!places) return std::nullopt;
  return at == places->source || at == places->destination;
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

Result<std::unique_ptr<FrameSource>> TemplateFrames::create(Recording frames, const std::vector<FieldRange>& ranges,
                                                            const Part& part) {
  std::unique_ptr<TemplateFrames> source(new TemplateFrames(std::move(frames), ranges, part));
  for (std::size_t i = 0; !ranges.empty() && i < source->frames_->size(); ++i) {
    if (auto added = source->add(source->frames_->at(i), i + 1); !added) return pass_on(std::move(added));
  }
  return std::unique_ptr<FrameSource>(std::move(source));
}

Result<void> TemplateFrames::add(const RecordedFrame& frame, std::size_t number) {
  const packet::Layout layout = packet::parse(frame.bytes);
  const AddressChecksum* const checksum = address_checksum(layout);
  const auto place = place_of(checksum, layout, frame.bytes);
  Template made{frame.bytes, {}};
  for (const FieldRange& range : ranges_) {
    const FrameField& field = *range.field;
    const auto at = field.position(layout);
    if (!at) {
      return fail(ErrorCode::invalid_argument, fmt::format("frame {} of the template has no {}", number, field.name),
                  "vary a field that every frame of the file has");
    }
    const auto covered = place ? is_covered(field, *at, frame.bytes, layout) : std::nullopt;
    if (field.in_l4_checksum && place != std::uint16_t{0} && !covered) {
      return fail(
          ErrorCode::invalid_argument,
          fmt::format("frame {} of the template has a checksum of {} that pktgen cannot adjust", number, field.name),
          "vary another field, or remove the frame");
    }
    made.fields.push_back({.range = &range,
                           .at = *at,
                           .ip_checksum_at = field.in_ip_checksum ? static_cast<std::uint16_t>(layout.l3 + kIpChecksum)
                                                                  : std::uint16_t{0},
                           .l4_checksum_at = covered.value_or(false) ? *place : std::uint16_t{0},
                           .zero_is_none = checksum != nullptr && checksum->has_none});
  }
  templates_.push_back(std::move(made));
  return {};
}

std::uint32_t TemplateFrames::next_length() const noexcept {
  return static_cast<std::uint32_t>((*frames_)[next_ % frames_->size()].bytes.size());
}

bool TemplateFrames::build(Mbuf& mbuf, MempoolCache& cache) noexcept {
  const std::size_t index = next_ % frames_->size();
  const std::uint64_t use = next_ / frames_->size();
  if (!append_chained(mbuf, cache, templates_.empty() ? (*frames_)[index].bytes : templates_[index].varied(use)))
    return false;
  next_ += queues_;
  return true;
}

const std::vector<std::uint8_t>& TemplateFrames::Template::varied(std::uint64_t use) noexcept {
  for (const PlacedField& field : fields) set(field, use);
  return bytes;
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
    adjust(placed.l4_checksum_at, before, after, placed.zero_is_none);
  }
}

void TemplateFrames::Template::adjust(std::uint16_t checksum_at, std::uint16_t before, std::uint16_t after,
                                      bool zero_is_none) noexcept {
  if (checksum_at == 0 || before == after) return;
  std::uint8_t* const at = &bytes[checksum_at];
  const std::uint16_t adjusted = packet::updated_checksum(packet::load16(at), before, after);
  packet::store16(at, zero_is_none ? packet::udp_checksum(adjusted) : adjusted);
}

}  // namespace pollux::tools
