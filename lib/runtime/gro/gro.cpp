// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/runtime/gro.hpp"

#include <algorithm>
#include <utility>

#include "runtime/gro/flow.hpp"

namespace pollux {
namespace gro {

constexpr std::uint32_t kBuckets = 8;
constexpr std::uint32_t kFlows = 8;  // of one bucket

/// The held flows with the same remainder of the hash, the oldest first.
struct Bucket {
  std::uint32_t count = 0;
  std::array<Flow, kFlows> flows;

  /// The flow that `segment` belongs to; `count` if there is none. There is at most one: a segment that belongs to a
  /// flow and is not merged ends it.
  [[nodiscard]] std::uint32_t find(const Segment& segment) const noexcept {
    std::uint32_t at = 0;
    while (at < count && !is_of_flow(flows[at], segment)) ++at;
    return at;
  }
  void erase(std::uint32_t at) noexcept {
    std::copy(flows.begin() + at + 1, flows.begin() + count, flows.begin() + at);
    --count;
  }
};

}  // namespace gro

using gro::Bucket;
using gro::Flow;
using gro::kBuckets;
using gro::kFlows;
using gro::Segment;
using gro::SegmentKind;

/// The flows and the finished frames. No frame is in both.
class GroTable {
 public:
  GroTable() = default;
  GroTable(const GroTable&) = delete;
  GroTable& operator=(const GroTable&) = delete;
  ~GroTable() {
    flush();
    drop_unnamed(take_finished(kMaxFinished));
  }

  void receive(Mbuf& mbuf) noexcept;
  void flush() noexcept;
  /// The frames are valid until the next call of any function.
  [[nodiscard]] std::span<Mbuf* const> take_finished(std::uint32_t limit) noexcept;
  [[nodiscard]] std::uint32_t held() const noexcept { return flows_ + last_ - first_; }
  [[nodiscard]] const GroStats& stats() const noexcept { return stats_; }
  /// Makes room for the finished frames of a batch of `frames` frames.
  void begin(std::uint32_t frames) noexcept {
    std::copy(finished_.begin() + first_, finished_.begin() + last_, finished_.begin());
    last_ -= std::exchange(first_, 0);
    stats_.received += frames;
  }

 private:
  // At most 64 frames are left here between two batches: if more are finished than fit the burst, at least as many
  // leave as came.
  static constexpr std::uint32_t kMaxFinished = kBuckets * kFlows + Gro::kMaxBatch;

  void finish(Mbuf& frame) noexcept { finished_[last_++] = &frame; }
  void end_flow(Bucket& bucket, std::uint32_t at) noexcept;
  void continue_flow(Bucket& bucket, std::uint32_t at, const Segment& segment) noexcept;
  void start_flow(Bucket& bucket, const Segment& segment) noexcept;

  std::array<Mbuf*, kMaxFinished> finished_;
  std::uint32_t first_ = 0;
  std::uint32_t last_ = 0;
  std::uint32_t flows_ = 0;
  GroStats stats_;
  std::array<Bucket, kBuckets> buckets_;
};

void GroTable::end_flow(Bucket& bucket, std::uint32_t at) noexcept {
  finish(gro::finish(bucket.flows[at]));
  bucket.erase(at);
  --flows_;
}

void GroTable::continue_flow(Bucket& bucket, std::uint32_t at, const Segment& segment) noexcept {
  Flow& flow = bucket.flows[at];
  if (append(flow, segment)) [[likely]] {
    ++stats_.merged;
    if (is_last(segment, flow.segment_size)) end_flow(bucket, at);
    return;
  }
  end_flow(bucket, at);
  start_flow(bucket, segment);
}

void GroTable::start_flow(Bucket& bucket, const Segment& segment) noexcept {
  if (segment.ends_flow || is_last(segment, 1)) return finish(*segment.mbuf);
  if (bucket.count == kFlows) end_flow(bucket, 0);
  bucket.flows[bucket.count++] = Flow(segment);
  ++flows_;
}

void GroTable::receive(Mbuf& mbuf) noexcept {
  Segment segment;
  const SegmentKind kind = read_segment(mbuf, segment);
  if (kind != SegmentKind::tcp) [[unlikely]] {
    if (kind == SegmentKind::scattered) flush();
    return finish(mbuf);
  }
  Bucket& bucket = buckets_[segment.hash % kBuckets];
  const std::uint32_t at = bucket.find(segment);
  if (at < bucket.count) [[likely]] {
    continue_flow(bucket, at, segment);
  } else {
    start_flow(bucket, segment);
  }
}

void GroTable::flush() noexcept {
  if (flows_ == 0) return;
  for (Bucket& bucket : buckets_) {
    for (std::uint32_t i = 0; i < bucket.count; ++i) finish(gro::finish(bucket.flows[i]));
    bucket.count = 0;
  }
  flows_ = 0;
}

std::span<Mbuf* const> GroTable::take_finished(std::uint32_t limit) noexcept {
  const std::uint32_t count = std::min(limit, last_ - first_);
  const std::span<Mbuf* const> taken(finished_.data() + first_, count);
  first_ += count;
  stats_.delivered += count;
  return taken;
}

Gro::Gro() : table_(std::make_unique<GroTable>()) {}
Gro::Gro(Gro&&) noexcept = default;
Gro& Gro::operator=(Gro&&) noexcept = default;
Gro::~Gro() = default;

std::uint32_t Gro::held() const noexcept { return table_->held(); }
GroStats Gro::stats() const noexcept { return table_->stats(); }

void Gro::receive_batch(std::span<Mbuf* const> frames) noexcept {
  table_->begin(static_cast<std::uint32_t>(frames.size()));
  for (Mbuf* const frame : frames) table_->receive(*frame);
}

void Gro::end_batch() noexcept { table_->flush(); }

std::span<Mbuf* const> Gro::take_finished(std::uint32_t limit) noexcept { return table_->take_finished(limit); }

}  // namespace pollux
