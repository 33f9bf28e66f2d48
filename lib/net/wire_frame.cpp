// SPDX-License-Identifier: BSD-3-Clause
#include "net/wire_frame.hpp"

#include <algorithm>
#include <cstring>

#include "pollux/net/packet/ethernet.hpp"
#include "pollux/net/rx_metadata.hpp"

namespace pollux {
namespace {

constexpr std::uint16_t kBothMacs = 12;  // bytes of both MAC addresses
constexpr std::uint16_t kWireTag = 4;

/// Whether the first EtherType may be that of an outer tag (check_outer_vlan_type). It is none if the frame arrived
/// before its port had such tags.
bool may_have_outer_tag(const Mbuf& frame) noexcept {
  constexpr std::uint16_t kFirstType = 0x0600;
  std::array<std::uint8_t, 2> bytes{};
  if (frame.copy_out(kBothMacs, bytes) != bytes.size()) return false;
  const std::uint16_t type = packet::load16(bytes.data());
  return type >= kFirstType && type != packet::ether_type::kIpv4 && type != packet::ether_type::kIpv6;
}

}  // namespace

void WireTags::add(std::uint16_t ether_type, std::uint16_t tag) noexcept {
  packet::store16(&data[bytes], ether_type);
  packet::store16(&data[bytes + 2U], tag);
  bytes = static_cast<std::uint16_t>(bytes + kWireTag);
}

WireTags stripped_tags(const Mbuf& frame) noexcept {
  WireTags tags;
  if (!frame.has_rx_words()) return tags;
  const RxMetadata metadata(frame);
  const auto tag = metadata.vlan();
  if (!tag || metadata.is_bad_frame()) return tags;
  if (metadata.vlan_is_inner() && may_have_outer_tag(frame)) tags.offset = kBothMacs + kWireTag;
  tags.add(packet::ether_type::kVlan, *tag);
  return tags;
}

WireTags requested_tags(const Mbuf& frame) noexcept {
  WireTags tags;
  const TxOffload request = frame.tx_offload();
  if ((request.flags & TxOffload::insert_outer_vlan) != 0) tags.add(packet::ether_type::kService, request.outer_vlan);
  if ((request.flags & TxOffload::insert_vlan) != 0) tags.add(packet::ether_type::kVlan, request.vlan);
  return tags;
}

std::size_t WireFrame::copy_out(std::size_t offset, std::span<std::uint8_t> out) const noexcept {
  if (is_as_stored()) return frame_.copy_out(offset, out);
  const std::size_t start = std::min<std::size_t>(tags_.offset, frame_.packet_length());
  const std::size_t end = start + tags_.bytes;
  std::size_t copied = 0;
  if (offset < start) copied = frame_.copy_out(offset, out.first(std::min(out.size(), start - offset)));
  for (; copied < out.size() && offset + copied >= start && offset + copied < end; ++copied) {
    out[copied] = tags_.data[offset + copied - start];
  }
  if (offset + copied < end) return copied;
  return copied + frame_.copy_out(offset + copied - tags_.bytes, out.subspan(copied));
}

packet::Layout WireFrame::parse() const noexcept {
  if (is_as_stored()) return packet::parse(frame_);
  std::array<std::uint8_t, packet::kMaxHeaderBytes> head;
  const std::size_t copied = copy_out(0, head);
  return packet::parse(std::span(head).first(copied), length());
}

bool put_back_vlan_tag(Mbuf& frame) noexcept {
  const WireTags tags = stripped_tags(frame);
  if (tags.bytes == 0) return true;
  if (frame.length() < tags.offset || !MbufAccess::owns_bytes(frame)) return false;
  std::uint8_t* const start = frame.prepend(tags.bytes);
  if (start == nullptr) return false;
  std::memmove(start, start + tags.bytes, tags.offset);
  std::copy_n(tags.data.begin(), tags.bytes, start + tags.offset);
  frame.set_rx_words(frame.rx_format(), frame.rx_word(0), frame.rx_word(1) & ~RxMetadata::kVlan);
  return true;
}

}  // namespace pollux
