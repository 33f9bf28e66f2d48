// SPDX-License-Identifier: BSD-3-Clause
#include "observe/capture/frame_tap.hpp"

#include <algorithm>
#include <cstring>

namespace pollux::observe {
namespace {

/// A burst has at most as many frames (Burst).
constexpr std::size_t kMaxBurst = 4096;
/// What a filter can look at of a frame whose bytes have to be collected first. IPv4, IPv6 and TCP headers with all
/// options, behind tags and a tunnel, need less.
constexpr std::uint32_t kFilterBytes = 1024;

}  // namespace

FrameTap::FrameTap(const TapSettings& settings)
    : settings_(settings), ring_(settings.ring_bytes), scratch_(std::max(settings.snaplen, kFilterBytes)) {
  lost_.reserve(kMaxBurst);
}

FrameTap::Bytes FrameTap::bytes_of(const Mbuf& frame, const WireTags& tags) noexcept {
  const WireFrame wire(frame, tags);
  if (wire.is_as_stored() && frame.next() == nullptr) return {frame.data(), frame.length(), frame.length()};
  return {scratch_.data(), static_cast<std::uint32_t>(wire.copy_out(0, scratch_)), wire.length()};
}

void FrameTap::stage(const Mbuf& frame, std::uint32_t index, Time now, const WireTags& tags, std::uint16_t flags,
                     std::uint16_t reason) noexcept {
  const Bytes bytes = bytes_of(frame, tags);
  if (!settings_.filter.accepts(bytes.data, bytes.length, bytes.held)) return;
  const std::uint32_t captured = std::min(bytes.held, settings_.snaplen);
  FrameRecord* const record = ring_.stage(captured);
  if (record == nullptr) {
    if (lost_.size() < lost_.capacity()) lost_.push_back(index);
    return;
  }
  record->flags = flags;
  record->reason = reason;
  record->length = bytes.length;
  record->lost = static_cast<std::uint32_t>(lost_.size() - reported_) + (has_staged_ ? 0 : unreported_);
  record->index = index;
  record->time = now.count();
  record->stamp = frame.timestamp();
  has_staged_ = true;
  reported_ = lost_.size();
  std::memcpy(record->data(), bytes.data, captured);
}

void FrameTap::publish(std::uint32_t count) noexcept {
  std::uint64_t captured = 0;
  std::uint32_t reported = 0;
  ring_.publish(count, [&](const FrameRecord& record) {
    ++captured;
    reported += record.lost;
  });
  // Frames that the queue did not take are offered again, and are neither captured nor lost now.
  const auto lost = static_cast<std::uint32_t>(std::ranges::count_if(lost_, [&](auto index) { return index < count; }));
  seen_.add(count);
  captured_.add(captured);
  lost_count_.add(lost);
  unreported_ += lost - reported;
  lost_.clear();
  reported_ = 0;
  has_staged_ = false;
}

void FrameTap::count_lost(std::uint32_t frames) noexcept {
  seen_.add(frames);
  lost_count_.add(frames);
  unreported_ += frames;
}

CaptureCounts FrameTap::counts() const noexcept {
  return {.seen = seen_.value(), .captured = captured_.value(), .lost = lost_count_.value()};
}

}  // namespace pollux::observe
