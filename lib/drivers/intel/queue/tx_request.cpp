// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/queue/tx_request.hpp"

#include <algorithm>
#include <cstring>
#include <optional>

#include "base/compiler.hpp"
#include "drivers/intel/queue/tx_ring.hpp"
#include "net/checksums.hpp"
#include "pollux/net/checksum_offload.hpp"

namespace pollux::drivers::intel {

namespace tx = hw::intel::tx;

namespace {

// Offsets in the headers, and lengths.
constexpr std::uint32_t kMacAddresses = 12;
constexpr std::uint32_t kEthernetHeader = 14;
constexpr std::uint32_t kVlanTag = 4;
constexpr std::uint32_t kIpv4Header = 20;
constexpr std::uint32_t kIpv4Length = 2;
constexpr std::uint32_t kIpv4Checksum = 10;
constexpr std::uint32_t kIpv6Header = 40;
constexpr std::uint32_t kIpv6Length = 4;
constexpr std::uint32_t kTcpDataOffset = 12;
constexpr std::uint32_t kSctpChecksum = 8;

constexpr std::uint32_t kTags = TxOffload::insert_vlan | TxOffload::insert_outer_vlan;
/// The longest frame that may end in padding of the Ethernet. The card would include the padding in a checksum, so
/// these frames are always checked (60 bytes without FCS, IEEE 802.3, 3.2.8).
constexpr std::uint32_t kMaxPadded = 60;

/// A transport protocol: the flag of its checksum, its number, the shortest header, and its type in a context.
struct Transport {
  std::uint32_t flag;
  std::uint8_t protocol;
  std::uint8_t header;
  std::uint64_t kind;
};
constexpr Transport kNoTransport{.flag = 0, .protocol = 0, .header = 0, .kind = 0};
constexpr std::array kTransports{
    Transport{.flag = TxOffload::tcp_checksum, .protocol = 6, .header = 20, .kind = tx::kContextTcp},
    Transport{.flag = TxOffload::udp_checksum, .protocol = 17, .header = 8, .kind = tx::kContextUdp},
    Transport{.flag = TxOffload::sctp_checksum, .protocol = 132, .header = 12, .kind = tx::kContextSctp}};

bool is_ipv4(const Mbuf& frame, const TxOffload& request) noexcept { return frame.data()[request.l2] >> 4 == 4; }

// An error if more than one protocol is requested: such a request is computed nowhere.
std::optional<Transport> requested_transport(std::uint32_t flags) noexcept {
  std::uint32_t requested = flags & TxOffload::kL4Checksums;
  if ((flags & TxOffload::tcp_segmentation) != 0) requested |= TxOffload::tcp_checksum;
  if ((flags & TxOffload::udp_segmentation) != 0) requested |= TxOffload::udp_checksum;
  if (requested == 0) return kNoTransport;
  const auto* const found = std::find_if(kTransports.begin(), kTransports.end(),
                                         [requested](const Transport& one) { return one.flag == requested; });
  return found == kTransports.end() ? std::nullopt : std::optional(*found);
}

// [I-TXHEADERS] Whether the frame's headers are as the request says, in the first mbuf, and every card reads them so.
bool headers_match(const Mbuf& frame, const TxOffload& request, const Transport& transport) noexcept {
  if (request.l2 > tx::kMacLengthMask || request.l3 > tx::kIpLengthMask ||
      request.l4_offset() + transport.header > frame.length() ||
      !has_common_headers(FrameBytes::to_read(frame), request, transport.protocol)) {
    return false;
  }
  return is_ipv4(frame, request) || (request.flags & TxOffload::ipv4_checksum) == 0;
}

// Whether the card computes the requested checksums as software would.
bool card_computes(const Mbuf& frame, const TxOffload& request, const Transport& transport) noexcept {
  return headers_match(frame, request, transport) &&
         fills_frame(FrameBytes::to_read(frame), request, transport.protocol);
}

// Whether the card may insert a tag besides what else it does: it might not read a packet that then has two.
bool card_may_tag(const Mbuf& frame, const TxOffload& request, const Transport& transport) noexcept {
  if (!request.has_lengths()) return true;
  if ((request.outer_l2 != 0 ? request.outer_l2 : request.l2) != kEthernetHeader) return false;
  // Software that computes checksums inserts the tag, too: a frame that finds no room must not lose its request.
  return is_segmented(request) || card_computes(frame, request, transport);
}

// Whether the lengths of a request leave no doubt about the headers: no IP options or extension headers, and at most
// `tags` tags. Frames that repeat a request are sent without a look at their headers.
bool lengths_tell_headers(const TxOffload& request, std::uint32_t tags) noexcept {
  return request.l2 <= kEthernetHeader + tags * kVlanTag && (request.l3 == kIpv4Header || request.l3 == kIpv6Header);
}

// Writes zeros unless they are there. False, with nothing changed, if others use these bytes.
bool clear_field(Mbuf& frame, std::size_t at, std::size_t bytes) noexcept {
  const auto field = frame.bytes().subspan(at, bytes);
  if (std::all_of(field.begin(), field.end(), [](std::uint8_t byte) { return byte == 0; })) return true;
  if (!MbufAccess::owns_bytes(frame)) return false;
  std::fill(field.begin(), field.end(), std::uint8_t{0});
  return true;
}

// [I-TXSUM] The card may include these fields in the sum.
bool clear_checksums(Mbuf& frame, const TxOffload& request) noexcept {
  return ((request.flags & TxOffload::ipv4_checksum) == 0 || clear_field(frame, request.l2 + kIpv4Checksum, 2)) &&
         ((request.flags & TxOffload::sctp_checksum) == 0 ||
          clear_field(frame, request.l4_offset() + kSctpChecksum, 4));
}

bool clear_for_segments(Mbuf& frame, const TxOffload& request) noexcept {
  const auto fields = cleared_for_segments(frame, request);
  return clear_field(frame, fields[0], 2) && clear_field(frame, fields[1], 2);
}

std::uint64_t* compute_checksums(TxDrops& drops, Mbuf& frame) noexcept {
  switch (complete_checksums(frame)) {
    case ChecksumCompletion::complete: return nullptr;
    case ChecksumCompletion::bad_request: return &drops.bad_offload;
    case ChecksumCompletion::shared_data: break;
  }
  return &drops.shared_checksum;
}

// [I-TXVLAN] The card inserts tags only with CTRL.VME set, which also strips those of received frames. Otherwise
// software writes them, in front of the data: the frame needs headroom, and bytes that nobody else uses.
bool insert_tags(Mbuf& frame, TxOffload& request) noexcept {
  const auto insert = [&frame](std::uint16_t type, std::uint16_t tag) {
    if (frame.length() < kMacAddresses || !MbufAccess::owns_bytes(frame) || frame.prepend(kVlanTag) == nullptr)
      return false;
    std::uint8_t* const data = frame.data();
    std::memmove(data, data + kVlanTag, kMacAddresses);
    const std::uint8_t bytes[kVlanTag] = {static_cast<std::uint8_t>(type >> 8), static_cast<std::uint8_t>(type),
                                          static_cast<std::uint8_t>(tag >> 8), static_cast<std::uint8_t>(tag)};
    std::copy_n(bytes, kVlanTag, data + kMacAddresses);
    return true;
  };
  const bool both = (request.flags & kTags) == kTags;
  if (both && frame.headroom() < 2 * kVlanTag) return false;
  if ((request.flags & TxOffload::insert_vlan) != 0 && !insert(0x8100, request.vlan)) return false;
  if ((request.flags & TxOffload::insert_outer_vlan) != 0 && !insert(0x88A8, request.outer_vlan)) return false;
  request = frame.tx_offload();  // `prepend` has updated the lengths
  request.flags &= ~kTags;
  frame.set_tx_offload(request);
  return true;
}

// Whether the request's lengths are those of the frame, and no segment will be longer than `max_frame`.
bool segments_fit(const Mbuf& frame, const TxOffload& request, const Transport& transport,
                  std::uint32_t max_frame) noexcept {
  const std::uint32_t headers = request.l4_offset() + request.l4;
  if (request.segment_size == 0 || request.l4 < transport.header || headers > frame.length()) return false;
  const bool is_tcp = transport.flag == TxOffload::tcp_checksum;
  const std::uint32_t header = is_tcp ? std::uint32_t{frame.data()[request.l4_offset() + kTcpDataOffset]} >> 4 << 2
                                      : std::uint32_t{transport.header};
  return request.l4 == header && headers < frame.packet_length() &&
         headers + std::min<std::uint32_t>(request.segment_size, frame.packet_length() - headers) <= max_frame;
}

// [I-NOFCS] The card changes nothing in a frame without IFCS, so it can fulfil no other request.
std::uint64_t* prepare_with_fcs(TxDrops& drops, const Mbuf& frame, const TxOffload& request,
                                TxCommand& command) noexcept {
  if (request.flags != TxOffload::without_fcs) return &drops.bad_offload;
  if (frame.packet_length() < kMinWithFcs) return &drops.too_short;
  command.inverted = tx::kInsertCrc;
  return nullptr;
}

/// What the card inserts besides checksums: a tag, or nothing.
struct TagInsertion {
  std::uint64_t flags = 0;
  std::uint16_t vlan = 0;
};

std::uint64_t* prepare_segments(TxDrops& drops, Mbuf& frame, const TxOffload& request, const Transport& transport,
                                std::uint32_t max_frame, const TagInsertion& tag, TxCommand& command) noexcept {
  if ((request.flags & TxOffload::kSegmentation) == TxOffload::kSegmentation ||
      !headers_match(frame, request, transport) || !segments_fit(frame, request, transport, max_frame)) {
    return &drops.bad_offload;
  }
  if (!clear_for_segments(frame, request)) return &drops.shared_checksum;
  const std::uint64_t family = is_ipv4(frame, request) ? tx::kContextIpv4 : 0;
  const std::uint32_t headers = headers_of(request);
  const std::uint32_t payload = frame.packet_length() - headers;
  command = {
      .context = tx::context({.vlan = tag.vlan,
                              .mac_length = static_cast<std::uint8_t>(request.l2),
                              .ip_length = request.l3,
                              .l4_length = static_cast<std::uint8_t>(request.l4),
                              .mss = static_cast<std::uint16_t>(std::min<std::uint32_t>(request.segment_size, payload)),
                              .kind = transport.kind | family}),
      .flags = tag.flags | tx::kSegment | tx::kInsertL4Checksum | (family != 0 ? tx::kInsertIpChecksum : 0),
      .payload = payload,
      .shortest = headers + request.segment_size,
      .has_context = true,
      // The context of a shorter one has another size.
      .repeats = payload >= request.segment_size && lengths_tell_headers(request, 0)};
  return nullptr;
}

// [I-TXTUNNEL] For the card, the outer IP header goes as far as the inner TCP header.
std::uint64_t* prepare_tunnel(TxDrops& drops, Mbuf& frame, const TxOffload& request, std::uint32_t max_frame,
                              const TagInsertion& tag, TxCommand& command) noexcept {
  TunnelSegments segments;
  if ((request.flags & ~kTags) != TxOffload::tcp_segmentation ||
      !is_tunnel_packet(frame, request, max_frame, segments)) {
    return &drops.bad_offload;
  }
  if (!MbufAccess::owns_bytes(frame)) return &drops.shared_checksum;
  prepare_tunnel_headers(frame, request, segments);
  command = {
      .context = tx::context({.vlan = tag.vlan,
                              .mac_length = static_cast<std::uint8_t>(request.outer_l2),
                              .ip_length = static_cast<std::uint16_t>(request.outer_l3 + request.l2 + request.l3),
                              .l4_length = static_cast<std::uint8_t>(request.l4),
                              .mss = request.segment_size,
                              .kind = tx::kContextTcp | (segments.outer_ipv4 ? tx::kContextIpv4 : 0)}),
      .flags = tag.flags | tx::kSegment | tx::kInsertL4Checksum | (segments.outer_ipv4 ? tx::kInsertIpChecksum : 0),
      .payload = segments.payload,
      .has_context = true};
  return nullptr;
}

// A request for nothing but the tag, if there is one.
void prepare_tag(const TagInsertion& tag, TxCommand& command) noexcept {
  if (tag.flags == 0) return;
  command.context = tx::context({.vlan = tag.vlan});
  command.flags = tag.flags;
  command.shortest = TxRing::kMinFrame;
  command.has_context = true;
}

std::uint64_t* prepare_checksums(TxDrops& drops, Mbuf& frame, const TxOffload& request, const Transport& transport,
                                 const TagInsertion& tag, TxCommand& command) noexcept {
  if (!clear_checksums(frame, request)) return &drops.shared_checksum;
  command.context = tx::context({.vlan = tag.vlan,
                                 .mac_length = static_cast<std::uint8_t>(request.l2),
                                 .ip_length = request.l3,
                                 .kind = transport.kind | (is_ipv4(frame, request) ? tx::kContextIpv4 : 0)});
  command.flags = tag.flags | ((request.flags & TxOffload::ipv4_checksum) != 0 ? tx::kInsertIpChecksum : 0) |
                  (transport.flag != 0 ? tx::kInsertL4Checksum : 0);
  command.shortest = std::max<std::uint32_t>(request.l4_offset() + transport.header, kMaxPadded + 1);
  command.has_context = true;
  // SCTP's field is cleared, too. request_checksums leaves no requests with other tags.
  command.repeats = transport.flag != TxOffload::sctp_checksum && lengths_tell_headers(request, 1);
  return nullptr;
}

}  // namespace

std::array<std::uint32_t, 2> cleared_for_segments(const Mbuf& frame, const TxOffload& request) noexcept {
  const std::uint32_t ip = request.l2;
  if (!is_ipv4(frame, request)) return {ip + kIpv6Length, ip + kIpv6Length};
  return {ip + kIpv4Checksum, ip + kIpv4Length};
}

namespace {

// Everything but time stamps, and frames with their own check sequence.
std::uint64_t* prepare_most(TxDrops& drops, Mbuf& frame, TxOffload request, const TxAbilities& card,
                            TxCommand& command) noexcept {
  const auto transport = requested_transport(request.flags);
  if (!transport) return &drops.bad_offload;
  TagInsertion tag;
  std::uint32_t max_frame = card.max_frame;
  if (card.inserts_tags && (request.flags & kTags) == TxOffload::insert_vlan &&
      card_may_tag(frame, request, *transport)) {
    tag = {.flags = tx::kInsertVlan, .vlan = request.vlan};
    max_frame -= kVlanTag;
    request.flags &= ~kTags;
  } else if ((request.flags & kTags) != 0) {
    if (!insert_tags(frame, request)) return &drops.no_headroom;
    command.payload = frame.packet_length();
  }
  if (is_segmented(request) && has_split_headers(frame)) return &drops.unfit_headers;
  if (is_segmented(request) && request.outer_l3 != 0 && card.segments_tunnels) {
    return prepare_tunnel(drops, frame, request, max_frame, tag, command);
  }
  if (is_segmented(request)) return prepare_segments(drops, frame, request, *transport, max_frame, tag, command);
  // A tagged frame may be longer than the card's longest.
  if (command.payload > max_frame) return &drops.too_long;
  const bool has_sums = (request.flags & TxOffload::kChecksums) != 0;
  if (has_sums && card_computes(frame, request, *transport)) {
    return prepare_checksums(drops, frame, request, *transport, tag, command);
  }
  if (has_sums) return compute_checksums(drops, frame);
  prepare_tag(tag, command);
  command.repeats = command.has_context;
  return nullptr;
}

// The card stamps one frame at a time, so a request for a stamp is never repeated, and none is made for segments.
// A frame that finds no room keeps its request.
POLLUX_COLD std::uint64_t* prepare_special(TxDrops& drops, Mbuf& frame, TxOffload request, const TxAbilities& card,
                                           TxCommand& command) noexcept {
  if ((request.flags & TxOffload::without_fcs) != 0) return prepare_with_fcs(drops, frame, request, command);
  if (is_segmented(request)) return &drops.bad_offload;
  request.flags &= ~TxOffload::timestamp;
  std::uint64_t* const counter = prepare_most(drops, frame, request, card, command);
  command.inverted |= tx::kTimeStamp;
  command.repeats = false;
  return counter;
}

}  // namespace

std::uint64_t* prepare_request(TxDrops& drops, Mbuf& frame, const TxAbilities& card, TxCommand& command) noexcept {
  const TxOffload request = frame.tx_offload();
  if ((request.flags & (TxOffload::without_fcs | TxOffload::timestamp)) != 0) [[unlikely]]
    return prepare_special(drops, frame, request, card, command);
  return prepare_most(drops, frame, request, card, command);
}

std::uint64_t* prepare_in_software(TxDrops& drops, Mbuf& frame, const TxAbilities& card, TxCommand& command) noexcept {
  constexpr std::uint32_t kPossible = TxOffload::kChecksums | kTags;
  TxOffload request = frame.tx_offload();
  if ((request.flags & ~kPossible) != 0) return &drops.bad_offload;
  if ((request.flags & kTags) != 0) {
    if (!insert_tags(frame, request)) return &drops.no_headroom;
    command.payload = frame.packet_length();
  }
  if (command.payload > card.max_frame) return &drops.too_long;
  return compute_checksums(drops, frame);
}

}  // namespace pollux::drivers::intel
