// SPDX-License-Identifier: BSD-3-Clause
#include "observe/capture/frame_tap.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/compiler.hpp"
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

POLLUX_ALWAYS_INLINE void FrameTap::stage(const Bytes& bytes, const Mbuf& frame, std::uint32_t index, Time now,
                                          std::uint16_t flags, std::uint16_t reason) noexcept {
  if (!settings_.filter.accepts_all() && !settings_.filter.accepts(bytes.data, bytes.length, bytes.held)) return;
  const std::uint32_t captured = std::min(bytes.held, settings_.snaplen);
  FrameRecord* const record = ring_.stage(captured);
  if (record == nullptr) [[unlikely]] {
    if (lost_.size() < lost_.capacity()) {
      lost_.push_back(index);
      ++to_report_;
    }
    return;
  }
  record->flags = flags;
  record->reason = reason;
  record->length = bytes.length;
  record->lost = to_report_;
  record->index = index;
  record->time = now.count();
  record->stamp = frame.timestamp();
  to_report_ = 0;
  last_ = index;
  ++staged_;
  std::memcpy(record->data(), bytes.data, captured);
}

POLLUX_NOINLINE void FrameTap::stage(const Mbuf& frame, std::uint32_t index, Time now, const WireTags& tags,
                                     std::uint16_t flags, std::uint16_t reason) noexcept {
  stage(bytes_of(frame, tags), frame, index, now, flags, reason);
}

POLLUX_ALWAYS_INLINE void FrameTap::stage_contiguous(const Mbuf& frame, std::uint32_t index, Time now,
                                                     std::uint16_t flags) noexcept {
  stage({frame.data(), frame.length(), frame.length()}, frame, index, now, flags, 0);
}

void FrameTap::publish(std::uint32_t count) noexcept {
  if (lost_.empty() && (staged_ == 0 || last_ < count)) [[likely]] {
    ring_.publish();
    seen_.add(count);
    captured_.add(staged_);
    unreported_ = to_report_;
  } else {
    publish_some(count);
  }
  staged_ = 0;
}

void FrameTap::publish_some(std::uint32_t count) noexcept {
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
  to_report_ = unreported_;
  lost_.clear();
}

void FrameTap::count_lost(std::uint32_t frames) noexcept {
  seen_.add(frames);
  lost_count_.add(frames);
  unreported_ += frames;
  to_report_ += frames;
}

CaptureCounts FrameTap::counts() const noexcept {
  return {.seen = seen_.value(), .captured = captured_.value(), .lost = lost_count_.value()};
}

namespace {

/// What the card reported about a frame, as marks.
std::uint16_t flags_of(const Mbuf& frame, const RxMetadata& metadata) noexcept {
  // A time stamp that is in the mbuf needs no mark.
  const bool stamped = metadata.is_stamped() && frame.timestamp() == 0;
  return static_cast<std::uint16_t>((metadata.is_bad_frame() ? FrameRecord::bad_frame : 0) |
                                    (stamped ? FrameRecord::card_stamped : 0));
}
std::uint16_t flags_of(const Mbuf& frame) noexcept {
  return frame.has_rx_words() ? flags_of(frame, RxMetadata(frame)) : std::uint16_t{0};
}

constexpr std::uint32_t kInsertsTags = TxOffload::insert_vlan | TxOffload::insert_outer_vlan;

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
    const Mbuf& frame = *frames[i];
    std::uint16_t flags = 0;
    bool has_tags = false;
    if (frame.has_rx_words()) {
      const RxMetadata metadata(frame);
      flags = flags_of(frame, metadata);
      has_tags = metadata.vlan().has_value();
    }
    if (has_tags || frame.next() != nullptr) [[unlikely]] {
      tap_.stage(frame, i, now, stripped_tags(frame), flags);
    } else {
      tap_.stage_contiguous(frame, i, now, flags);
    }
  }
  tap_.publish(count);
}

void TxTap::sending(const TxQueue& /*queue*/, std::span<Mbuf* const> frames) noexcept {
  const Time now = clock_.now();
  for (std::uint32_t i = 0; i < frames.size(); ++i) {
    const Mbuf& frame = *frames[i];
    const bool has_tags = (frame.tx_offload().flags & kInsertsTags) != 0;
    if (has_tags || frame.next() != nullptr) [[unlikely]] {
      tap_.stage(frame, i, now, requested_tags(frame));
    } else {
      tap_.stage_contiguous(frame, i, now, 0);
    }
  }
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
