// SPDX-License-Identifier: BSD-3-Clause
#include "observe/capture/frame_tap.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "pollux/net/rx_metadata.hpp"

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

namespace {

/// Marks of what the card reported about a frame.
std::uint16_t flags_of(const Mbuf& frame) noexcept {
  if (!frame.has_rx_words()) return 0;
  const RxMetadata metadata(frame);
  // A time stamp that is in the mbuf needs no mark.
  const bool stamped = metadata.is_stamped() && frame.timestamp() == 0;
  return static_cast<std::uint16_t>((metadata.is_bad_frame() ? FrameRecord::bad_frame : 0) |
                                    (stamped ? FrameRecord::card_stamped : 0));
}

/// A frame that was to be sent is shown with the tags that it was to have, and any other as it was received.
WireTags tags_of_dropped(const Mbuf& frame) noexcept {
  const WireTags requested = requested_tags(frame);
  return requested.bytes != 0 ? requested : stripped_tags(frame);
}

}  // namespace

void RxTap::received(const RxQueue& /*queue*/, std::span<Mbuf* const> frames) noexcept {
  const Time now = clock_.now();
  const auto count = static_cast<std::uint32_t>(frames.size());
  for (std::uint32_t i = 0; i < count; ++i) {
    tap_.stage(*frames[i], i, now, stripped_tags(*frames[i]), flags_of(*frames[i]));
  }
  tap_.publish(count);
}

void TxTap::sending(const TxQueue& /*queue*/, std::span<Mbuf* const> frames) noexcept {
  const Time now = clock_.now();
  for (std::uint32_t i = 0; i < frames.size(); ++i) tap_.stage(*frames[i], i, now, requested_tags(*frames[i]));
}

void TxTap::sent(const TxQueue& /*queue*/, std::uint32_t count) noexcept { tap_.publish(count); }

DropTap::DropTap(const TapSettings& settings, const Clock& clock, std::vector<const DropCounter*> counters,
                 std::uint16_t port)
    : tap_(settings), clock_(clock), counters_(std::move(counters)), port_(port) {
  for (const DropCounter* const counter : counters_) names_.push_back(counter->name());
}

void DropTap::attach() {
  for (const DropCounter* const counter : counters_) attachments_.push_back(counter->attach(*this));
}

void DropTap::detach() noexcept {
  attachments_.clear();
  const std::lock_guard lock(producer_);
  tap_.count_lost(missed_.exchange(0, std::memory_order_relaxed));
}

std::uint32_t DropTap::count_ours(std::span<Mbuf* const> frames) const noexcept {
  return static_cast<std::uint32_t>(
      std::ranges::count_if(frames, [this](const Mbuf* frame) { return frame->port() == port_; }));
}

void DropTap::dropped(const DropCounter& reason, std::span<Mbuf* const> frames) noexcept {
  const std::uint32_t ours = count_ours(frames);
  if (ours == 0) return;
  const std::unique_lock lock(producer_, std::try_to_lock);
  if (!lock) {
    missed_.fetch_add(ours, std::memory_order_relaxed);
    return;
  }
  tap_.count_lost(missed_.exchange(0, std::memory_order_relaxed));
  const auto index = static_cast<std::uint16_t>(std::ranges::find(counters_, &reason) - counters_.begin());
  const Time now = clock_.now();
  std::uint32_t next = 0;
  for (const Mbuf* const frame : frames) {
    if (frame->port() != port_) continue;
    tap_.stage(*frame, next++, now, tags_of_dropped(*frame), flags_of(*frame), index);
  }
  tap_.publish(next);
}

}  // namespace pollux::observe
