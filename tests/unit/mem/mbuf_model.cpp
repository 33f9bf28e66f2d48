// SPDX-License-Identifier: BSD-3-Clause
#include "unit/mem/mbuf_model.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace pollux::test {

std::size_t ModelFrame::length() const {
  std::size_t sum = 0;
  for (const ModelSegment& segment : segments) sum += segment.length;
  return sum;
}

bool ModelFrame::reserve(std::size_t bytes) {
  if (length() != 0 || first().shared() || bytes > first().capacity() - first().offset) return false;
  first().offset += bytes;
  return true;
}

bool ModelFrame::append(const std::vector<std::uint8_t>& bytes) {
  ModelSegment& segment = last();
  if (bytes.size() > segment.tailroom() || segment.length + bytes.size() > 65535) return false;
  std::copy(bytes.begin(), bytes.end(),
            segment.buffer->bytes.begin() + static_cast<std::ptrdiff_t>(segment.offset + segment.length));
  segment.length += bytes.size();
  return true;
}

bool ModelFrame::prepend(const std::vector<std::uint8_t>& bytes) {
  ModelSegment& segment = first();
  if (bytes.size() > segment.headroom() || segment.length + bytes.size() > 65535) return false;
  if (offload.has_lengths()) {
    std::uint16_t& header = offload.outer_l2 == 0 && offload.outer_l3 == 0 ? offload.l2 : offload.outer_l2;
    if (header + bytes.size() > 65535) return false;
    header = static_cast<std::uint16_t>(header + bytes.size());
  }
  segment.offset -= bytes.size();
  segment.length += bytes.size();
  std::copy(bytes.begin(), bytes.end(), segment.buffer->bytes.begin() + static_cast<std::ptrdiff_t>(segment.offset));
  return true;
}

bool ModelFrame::strip(std::size_t bytes) {
  if (bytes > first().length) return false;
  first().offset += bytes;
  first().length -= bytes;
  strip_request(bytes);
  return true;
}

// Uses the start and end of each header in the frame before the change.
void ModelFrame::strip_request(std::size_t bytes) {
  if (offload.flags == 0) return;
  const std::size_t outer_l3 = offload.outer_l2;
  const std::size_t l2 = outer_l3 + offload.outer_l3;
  const std::size_t l3 = l2 + offload.l2;
  const std::size_t l4 = l3 + offload.l3;
  const auto is_touched = [&](std::size_t start, std::size_t end) { return bytes > start && end > start; };
  const auto left = [&](std::size_t start, std::size_t end) {
    return static_cast<std::uint16_t>(end - std::clamp(bytes, start, end));
  };
  if (is_touched(outer_l3, l2)) offload.flags &= ~std::uint32_t{TxOffload::outer_ipv4_checksum};
  if (is_touched(l2, l3)) offload.flags &= ~std::uint32_t{TxOffload::outer_udp_checksum};
  if (is_touched(l3, l4)) offload.flags &= ~std::uint32_t{TxOffload::ipv4_checksum};
  if (bytes > l4) offload.flags &= TxOffload::insert_vlan | TxOffload::insert_outer_vlan | TxOffload::timestamp;
  offload.outer_l2 = left(0, outer_l3);
  offload.outer_l3 = left(outer_l3, l2);
  offload.l2 = left(l2, l3);
  offload.l3 = left(l3, l4);
  forget_unused_lengths();
}

void ModelFrame::forget_unused_lengths() {
  constexpr std::uint32_t kTags = TxOffload::insert_vlan | TxOffload::insert_outer_vlan;
  if (offload.flags == 0) offload = {};
  if ((offload.flags & ~(kTags | TxOffload::timestamp | TxOffload::without_fcs)) == 0)
    offload = {.flags = offload.flags, .vlan = offload.vlan, .outer_vlan = offload.outer_vlan};
}

bool ModelFrame::trim(std::size_t bytes) {
  if (bytes > last().length) return false;
  last().length -= bytes;
  return true;
}

bool ModelFrame::chain(ModelFrame&& more) {
  if (segments.size() + more.segments.size() > 255) return false;
  std::move(more.segments.begin(), more.segments.end(), std::back_inserter(segments));
  return true;
}

ModelFrame ModelFrame::clone() {
  for (ModelSegment& segment : segments) segment.plain = false;
  return *this;
}

bool ModelFrame::can_attach() const {
  return segments.size() == 1 && segments[0].plain && segments[0].length == 0 && offload.flags == 0 && timestamp == 0;
}

std::vector<std::uint8_t> ModelFrame::contents() const {
  std::vector<std::uint8_t> all;
  for (const ModelSegment& segment : segments) {
    const auto start = segment.buffer->bytes.begin() + static_cast<std::ptrdiff_t>(segment.offset);
    all.insert(all.end(), start, start + static_cast<std::ptrdiff_t>(segment.length));
  }
  return all;
}

namespace {

std::optional<std::string> segment_difference(Mbuf& mbuf, const ModelSegment& model) {
  const auto differs = [](const char* what, std::size_t is, std::size_t expected) -> std::optional<std::string> {
    if (is == expected) return {};
    return fmt::format("{} is {}, expected {}", what, is, expected);
  };
  if (auto d = differs("length", mbuf.length(), model.length)) return d;
  if (auto d = differs("capacity", mbuf.capacity(), model.capacity())) return d;
  if (auto d = differs("headroom", mbuf.headroom(), model.headroom())) return d;
  if (auto d = differs("tailroom", mbuf.tailroom(), model.tailroom())) return d;
  if (auto d = differs("is_shared", mbuf.is_shared(), model.shared())) return d;
  if (mbuf.head() > mbuf.data() || mbuf.data() > mbuf.tail() || mbuf.tail() > mbuf.end())
    return "head, data, tail, end out of order";
  if (auto d = differs("data - head", static_cast<std::size_t>(mbuf.data() - mbuf.head()), model.offset)) return d;
  const std::uint8_t* const expected = model.buffer->bytes.data() + model.offset;
  if (!std::equal(mbuf.data(), mbuf.tail(), expected)) return "other bytes";
  return {};
}

}  // namespace

std::optional<std::string> difference(Mbuf& mbuf, const ModelFrame& model) {
  if (mbuf.packet_length() != model.length()) {
    return fmt::format("packet length is {}, expected {}", mbuf.packet_length(), model.length());
  }
  if (mbuf.segments() != model.segments.size()) {
    return fmt::format("{} segments, expected {}", mbuf.segments(), model.segments.size());
  }
  Mbuf* segment = &mbuf;
  for (std::size_t i = 0; i < model.segments.size(); ++i, segment = segment->next()) {
    if (segment == nullptr) return fmt::format("ends before segment {}", i);
    if (auto found = segment_difference(*segment, model.segments[i])) return fmt::format("segment {}: {}", i, *found);
  }
  if (segment != nullptr) return "continues after its last segment";
  if (mbuf.tx_offload() != model.offload) return "other offload values";
  if (mbuf.timestamp() != model.timestamp) return "another timestamp";
  return {};
}

}  // namespace pollux::test
