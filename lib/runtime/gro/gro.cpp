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
class Bucket {
 public:
  Bucket() noexcept {
    for (std::uint32_t i = 0; i < kFlows; ++i) order_[i] = &flows_[i];
  }

  /// The flow that `segment` belongs to; nullptr if there is none. There is at most one: a segment that belongs to a
  /// flow and is not merged ends it.
  [[nodiscard]] Flow* find(const Segment& segment) noexcept {
    for (Flow* const flow : held()) {
      if (is_of_flow(*flow, segment)) return flow;
    }
    return nullptr;
  }
  [[nodiscard]] std::span<Flow* const> held() const noexcept { return {order_.data(), count_}; }
  [[nodiscard]] bool full() const noexcept { return count_ == kFlows; }
  /// The flow to which a frame was added last; nullptr if it has ended.
  [[nodiscard]] Flow* recent() const noexcept { return recent_; }
  void set_recent(Flow& flow) noexcept { recent_ = &flow; }

  void add(const Segment& first) noexcept {
    recent_ = order_[count_++];
    std::construct_at(recent_, first);
  }
  void erase(Flow& flow) noexcept {
    if (recent_ == &flow) recent_ = nullptr;
    const auto at = std::find(order_.begin(), order_.begin() + count_, &flow);
    std::rotate(at, at + 1, order_.begin() + count_);
    --count_;
  }
  void clear() noexcept {
    recent_ = nullptr;
    count_ = 0;
  }

 private:
  std::uint32_t count_ = 0;
  Flow* recent_ = nullptr;
  std::array<Flow*, kFlows> order_;  // the held ones first
  std::array<Flow, kFlows> flows_;
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
  explicit GroTable(const GroOptions& options) noexcept : options_(options) {}
  GroTable(const GroTable&) = delete;
  GroTable& operator=(const GroTable&) = delete;
  ~GroTable() {
    flush();
    drop_unnamed(take_finished(kMaxFinished));
  }

  void receive(std::span<Mbuf* const> frames) noexcept {
    while (!frames.empty()) {
      if (Flow* const flow = recent_flow_of(*frames.front()); flow != nullptr) {
        const std::size_t before = frames.size();
        frames = append_run(*flow, frames);
        if (frames.size() != before) continue;
      }
      receive(*frames.front());
      frames = frames.subspan(1);
    }
  }
  void flush() noexcept {
    if (flows_ == 0) return;
    for (Bucket& bucket : buckets_) {
      for (const Flow* const flow : bucket.held()) finish(gro::finish(*flow));
      bucket.clear();
    }
    flows_ = 0;
  }
  /// The frames are valid until the next call of any function.
  [[nodiscard]] std::span<Mbuf* const> take_finished(std::uint32_t limit) noexcept {
    const std::uint32_t count = std::min(limit, last_ - first_);
    const std::span<Mbuf* const> taken(finished_.data() + first_, count);
    first_ += count;
    delivered_ += count;
    return taken;
  }
  [[nodiscard]] std::uint32_t held() const noexcept { return flows_ + last_ - first_; }
  [[nodiscard]] GroStats stats() const noexcept {
    return {.received = received_, .merged = received_ - delivered_ - held(), .delivered = delivered_};
  }
  /// Makes room for the finished frames of a batch of `frames` frames.
  void begin(std::uint32_t frames) noexcept {
    std::copy(finished_.begin() + first_, finished_.begin() + last_, finished_.begin());
    last_ -= std::exchange(first_, 0);
    received_ += frames;
  }

 private:
  // At most 64 frames are left here between two batches: if more are finished than fit the burst, at least as many
  // leave as came.
  static constexpr std::uint32_t kMaxFinished = kBuckets * kFlows + Gro::kMaxBatch;

  void finish(Mbuf& frame) noexcept { finished_[last_++] = &frame; }
  /// Reads the hash as RxMetadata does for most formats. For another format the flow may be a wrong one; whether a
  /// frame belongs to it is compared anyway.
  [[nodiscard]] Flow* recent_flow_of(const Mbuf& mbuf) const noexcept {
    const std::uint64_t low = mbuf.rx_word(0);
    constexpr std::uint64_t kHashType = 0xF;
    const std::uint32_t hash = (low & kHashType) != 0 ? static_cast<std::uint32_t>(low >> 32) : 0;
    return buckets_[hash % kBuckets].recent();
  }
  void receive(Mbuf& mbuf) noexcept {
    Segment segment;
    const SegmentKind kind = read_segment(mbuf, options_, segment);
    if (kind != SegmentKind::mergeable) [[unlikely]] {
      if (kind == SegmentKind::scattered) flush();
      return finish(mbuf);
    }
    Bucket& bucket = buckets_[segment.hash % kBuckets];
    if (Flow* const flow = bucket.find(segment); flow != nullptr) [[likely]] {
      continue_flow(bucket, *flow, segment);
    } else {
      start_flow(bucket, segment);
    }
  }
  void end_flow(Bucket& bucket, Flow& flow) noexcept {
    finish(gro::finish(flow));
    bucket.erase(flow);
    --flows_;
  }
  void continue_flow(Bucket& bucket, Flow& flow, const Segment& segment) noexcept {
    if (append(flow, segment)) [[likely]] {
      bucket.set_recent(flow);
      if (ends_with(flow, segment)) end_flow(bucket, flow);
      return;
    }
    end_flow(bucket, flow);
    start_flow(bucket, segment);
  }
  void start_flow(Bucket& bucket, const Segment& segment) noexcept {
    if (!starts_flow(segment)) return finish(*segment.mbuf);
    if (bucket.full()) end_flow(bucket, *bucket.held().front());
    bucket.add(segment);
    ++flows_;
  }

  GroOptions options_;
  std::array<Mbuf*, kMaxFinished> finished_;
  std::uint32_t first_ = 0;
  std::uint32_t last_ = 0;
  std::uint32_t flows_ = 0;
  std::uint64_t received_ = 0;
  std::uint64_t delivered_ = 0;
  std::array<Bucket, kBuckets> buckets_;
};

Gro::Gro(const GroOptions& options) : table_(std::make_unique<GroTable>(options)) {}
Gro::Gro(Gro&&) noexcept = default;
Gro& Gro::operator=(Gro&&) noexcept = default;
Gro::~Gro() = default;

std::uint32_t Gro::held() const noexcept { return table_->held(); }
GroStats Gro::stats() const noexcept { return table_->stats(); }

void Gro::receive_batch(std::span<Mbuf* const> frames) noexcept {
  table_->begin(static_cast<std::uint32_t>(frames.size()));
  table_->receive(frames);
}

void Gro::end_batch() noexcept { table_->flush(); }

std::span<Mbuf* const> Gro::take_finished(std::uint32_t limit) noexcept { return table_->take_finished(limit); }

}  // namespace pollux
