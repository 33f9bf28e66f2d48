// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <optional>
#include <string>

#include "pollux/runtime/queueing/queue_disciplines.hpp"
#include "runtime/queueing/discipline_parts.hpp"

namespace pollux {
namespace queueing {
namespace {

constexpr std::uint64_t kMaxRate = std::uint64_t{1} << 40U;
constexpr std::uint64_t kMaxFill = 60;  // seconds

/// Tokens for bytes that may be sent. They are kept in billionths of a byte, of which `rate` accrue in a nanosecond: so
/// nothing is rounded, and the rate is exact however short the frames are.
class Bucket {
 public:
  /// A full bucket. `rate`: bytes a second, from 1 to kMaxRate. `size`: bytes, below 2^33, so that twice as many tokens
  /// fit in 63 bits.
  Bucket(std::uint64_t rate, std::uint64_t size) noexcept
      : rate_(static_cast<std::int64_t>(rate)),
        size_(cost(size)),
        fill_time_((size_ + rate_ - 1) / rate_),
        tokens_(size_) {}

  /// Adds the tokens that have accrued since the last call. The next three are about the time of this call.
  void fill(Time now) noexcept {
    tokens_ = available(now);
    filled_ = now;
  }
  [[nodiscard]] std::uint64_t bytes() const noexcept { return static_cast<std::uint64_t>(tokens_ / kTokens); }
  [[nodiscard]] bool has(std::uint64_t bytes) const noexcept { return tokens_ >= cost(bytes); }
  void spend(std::uint64_t bytes) noexcept { tokens_ -= cost(bytes); }
  /// How long it takes until the bucket has tokens for `bytes`.
  [[nodiscard]] Duration wait_for(std::uint64_t bytes, Time now) const noexcept {
    const std::int64_t missing = std::max<std::int64_t>(cost(bytes) - available(now), 0);
    return Duration((missing + rate_ - 1) / rate_);
  }

 private:
  static constexpr std::int64_t kTokens = 1'000'000'000;  // for a byte
  [[nodiscard]] static std::int64_t cost(std::uint64_t bytes) noexcept {
    return static_cast<std::int64_t>(bytes) * kTokens;
  }
  [[nodiscard]] std::int64_t available(Time now) const noexcept {
    const std::int64_t passed = std::clamp<std::int64_t>((now - filled_).count(), 0, fill_time_);
    return std::min(tokens_ + passed * rate_, size_);
  }

  std::int64_t rate_;
  std::int64_t size_;
  std::int64_t fill_time_;  // ns
  std::int64_t tokens_;     // when filled_ was
  Time filled_{};
};

class TokenBucket final : public QueueDiscipline {
 public:
  explicit TokenBucket(TokenBucketOptions options)
      // A frame of the bucket's size fits with its overhead.
      : rate_(options.rate, std::uint64_t{options.burst} + options.overhead),
        overhead_(options.overhead),
        max_length_(options.peak_rate != 0 ? std::min(options.burst, options.mtu) : options.burst),
        inner_(std::move(options.queue)) {
    if (options.peak_rate != 0) peak_.emplace(options.peak_rate, std::uint64_t{options.mtu} + options.overhead);
  }

  [[nodiscard]] Time next_time(Time now) const noexcept override {
    if (!returned_.empty()) return now;
    if (blocked_ == 0) return inner_->next_time(now);
    const std::uint64_t bytes = std::uint64_t{blocked_} + overhead_;
    const Duration wait = std::max(rate_.wait_for(bytes, now), peak_ ? peak_->wait_for(bytes, now) : Duration{});
    return std::min(time_after(now, wait), change_of(*inner_, now));
  }
  [[nodiscard]] QueueBacklog backlog() const noexcept override {
    const QueueBacklog inner = inner_->backlog();
    return {inner.frames + (returned_.empty() ? 0 : 1), inner.bytes + returned_.length()};
  }
  [[nodiscard]] std::uint64_t dropped() const noexcept override { return too_long_.value() + inner_->dropped(); }
  [[nodiscard]] std::vector<NamedCount> counters() const override {
    std::vector<NamedCount> all{named(too_long_), {"overlimits", overlimits_}};
    append_counters(all, "queue", *inner_);
    return all;
  }

 private:
  [[nodiscard]] bool spend(std::uint32_t length) noexcept {
    const std::uint64_t bytes = std::uint64_t{length} + overhead_;
    if (!rate_.has(bytes) || (peak_ && !peak_->has(bytes))) return false;
    rate_.spend(bytes);
    if (peak_) peak_->spend(bytes);
    return true;
  }
  /// Bytes that may be dequeued together: all but the last frame can be sent.
  [[nodiscard]] std::uint64_t affordable() const noexcept {
    if (overhead_ != 0) return 1;
    const std::uint64_t bytes = rate_.bytes();
    return std::max<std::uint64_t>(peak_ ? std::min(bytes, peak_->bytes()) : bytes, 1);
  }
  /// New frames may be more urgent than the one that waits for tokens, and need fewer.
  void note_new(std::span<Mbuf* const> frames) noexcept {
    if (blocked_ == 0) return;
    for (const Mbuf* const frame : frames) blocked_ = std::min(blocked_, frame->packet_length());
  }

  void take(std::span<Mbuf* const> frames, Time now) noexcept override {
    while (!frames.empty()) {
      const auto fits = [this](const Mbuf* frame) { return frame->packet_length() <= max_length_; };
      const auto run = static_cast<std::size_t>(std::ranges::find_if_not(frames, fits) - frames.begin());
      note_new(frames.first(run));
      if (run != 0) pass_to(*inner_, frames.first(run), now);
      frames = frames.subspan(run);
      if (frames.empty()) return;
      drop(*frames.front(), too_long_);
      frames = frames.subspan(1);
    }
  }

  [[nodiscard]] std::uint32_t give(std::span<Mbuf*> room, std::uint64_t bytes, Time now) noexcept override {
    std::uint32_t count = 0;
    if (!returned_.empty() && !room.empty() && bytes != 0) {
      bytes -= std::min<std::uint64_t>(bytes, returned_.length());
      room[count++] = returned_.release();
    }
    blocked_ = 0;
    rate_.fill(now);
    if (peak_) peak_->fill(now);
    while (count < room.size() && bytes != 0) {
      const std::uint32_t got = get_from(*inner_, room.subspan(count), std::min(bytes, affordable()), now);
      if (got == 0) break;
      for (const std::uint32_t end = count + got; count < end; ++count) {
        const std::uint32_t length = room[count]->packet_length();
        if (!spend(length)) {
          // The last one: for the others there were tokens.
          return_to(*inner_, *room[count]);
          blocked_ = length;
          ++overlimits_;
          return count;
        }
        bytes -= std::min<std::uint64_t>(bytes, length);
      }
    }
    return count;
  }
  void take_back(Mbuf& frame) noexcept override { returned_.hold(frame); }

  Bucket rate_;
  std::optional<Bucket> peak_;
  const std::uint32_t overhead_;
  const std::uint32_t max_length_;
  std::unique_ptr<QueueDiscipline> inner_;
  HeldFrame returned_;         // has had its tokens
  std::uint32_t blocked_ = 0;  // bytes of the shortest frame that may be the next one; 0: none was seen to lack tokens
  std::uint64_t overlimits_ = 0;
  DropCounter too_long_{"drop_too_long"};
};

/// Whether a bucket of `bytes` can be computed with: it holds a byte or more, and fills within kMaxFill.
bool makes_sense(std::uint64_t rate, std::uint32_t bytes) {
  return rate != 0 && rate <= kMaxRate && bytes != 0 && bytes <= rate * kMaxFill;
}

Result<void> check(const TokenBucketOptions& options) {
  if (!makes_sense(options.rate, options.burst)) {
    return fail(ErrorCode::invalid_argument,
                "a token bucket has a rate of " + std::to_string(options.rate) + " bytes/s and a burst of " +
                    std::to_string(options.burst) + " bytes",
                "set a rate from 1 to 2^40, and a burst from 1 to what passes in 60 s");
  }
  if (options.peak_rate == 0 && options.mtu == 0) return {};
  if (options.peak_rate <= options.rate || !makes_sense(options.peak_rate, options.mtu)) {
    return fail(ErrorCode::invalid_argument,
                "a token bucket has a rate of " + std::to_string(options.rate) + ", a peak rate of " +
                    std::to_string(options.peak_rate) + " bytes/s and an mtu of " + std::to_string(options.mtu) +
                    " bytes",
                "set a peak rate above the rate and an mtu of the longest frame, or both to 0");
  }
  return {};
}

}  // namespace
}  // namespace queueing

Result<std::unique_ptr<QueueDiscipline>> make_token_bucket(TokenBucketOptions options) {
  if (auto checked = queueing::check(options); !checked) return pass_on(std::move(checked));
  if (options.queue == nullptr) {
    auto fifo = make_fifo();
    if (!fifo) return fifo;
    options.queue = *std::move(fifo);
  }
  return std::make_unique<queueing::TokenBucket>(std::move(options));
}

}  // namespace pollux
