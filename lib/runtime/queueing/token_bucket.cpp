// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <string>

#include "pollux/runtime/queueing/queue_disciplines.hpp"
#include "runtime/queueing/byte_time.hpp"
#include "runtime/queueing/counters.hpp"
#include "runtime/queueing/held_frame.hpp"

namespace pollux {
namespace queueing {
namespace {

constexpr std::uint64_t kMaxRate = std::uint64_t{1} << 40U;
constexpr std::int64_t kMaxFill = 60'000'000'000;  // ns

/// Tokens are kept as the time in which they accrue, in nanoseconds, as Linux's tbf does.
class TokenBucket final : public QueueDiscipline {
 public:
  explicit TokenBucket(TokenBucketOptions options)
      : rate_(options.rate),
        peak_(std::max<std::uint64_t>(options.peak_rate, 1)),
        // A frame of the bucket's size fits with its overhead.
        size_{rate_.of(std::uint64_t{options.burst} + options.overhead),
              peak_.of(std::uint64_t{options.mtu} + options.overhead)},
        overhead_(options.overhead),
        max_length_(options.peak_rate != 0 ? std::min(options.burst, options.mtu) : options.burst),
        has_peak_(options.peak_rate != 0),
        inner_(std::move(options.queue)),
        tokens_(size_) {}

  [[nodiscard]] Time next_time(Time now) const noexcept override {
    if (!returned_.empty()) return now;
    if (blocked_ == 0) return inner_->next_time(now);
    const Tokens left = after(available(now), blocked_);
    return now + Duration(std::max({-left.rate, -left.peak, std::int64_t{0}}));
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
  struct Tokens {
    std::int64_t rate;
    std::int64_t peak;
  };

  [[nodiscard]] Tokens available(Time now) const noexcept {
    const std::int64_t passed = std::min<std::int64_t>((now - filled_).count(), size_.rate);
    return {std::min(tokens_.rate + passed, size_.rate), std::min(tokens_.peak + passed, size_.peak)};
  }
  [[nodiscard]] Tokens after(Tokens tokens, std::uint32_t length) const noexcept {
    tokens.rate -= rate_.of(std::uint64_t{length} + overhead_);
    if (has_peak_) tokens.peak -= peak_.of(std::uint64_t{length} + overhead_);
    return tokens;
  }
  [[nodiscard]] bool spend(std::uint32_t length, Time now) noexcept {
    const Tokens left = after(available(now), length);
    if (left.rate < 0 || left.peak < 0) return false;
    tokens_ = left;
    filled_ = now;
    return true;
  }
  /// Bytes that may be dequeued together: all but the last frame can be sent.
  [[nodiscard]] std::uint64_t affordable(Time now) const noexcept {
    if (overhead_ != 0) return 1;
    const Tokens tokens = available(now);
    const std::uint64_t bytes = rate_.bytes_in(tokens.rate);
    return std::max<std::uint64_t>(has_peak_ ? std::min(bytes, peak_.bytes_in(tokens.peak)) : bytes, 1);
  }

  void take(std::span<Mbuf* const> frames, Time now) noexcept override {
    while (!frames.empty()) {
      const auto fits = [this](const Mbuf* frame) { return frame->packet_length() <= max_length_; };
      const auto run = static_cast<std::size_t>(std::ranges::find_if_not(frames, fits) - frames.begin());
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
    while (count < room.size() && bytes != 0) {
      const std::uint32_t got = get_from(*inner_, room.subspan(count), std::min(bytes, affordable(now)), now);
      if (got == 0) break;
      for (const std::uint32_t end = count + got; count < end; ++count) {
        const std::uint32_t length = room[count]->packet_length();
        if (!spend(length, now)) {
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

  const ByteTime rate_;
  const ByteTime peak_;
  const Tokens size_;
  const std::uint32_t overhead_;
  const std::uint32_t max_length_;
  const bool has_peak_;
  std::unique_ptr<QueueDiscipline> inner_;
  HeldFrame returned_;         // has had its tokens
  std::uint32_t blocked_ = 0;  // bytes of the frame that waits for tokens; 0: none was seen to
  Tokens tokens_;              // when filled_ was
  Time filled_{};
  std::uint64_t overlimits_ = 0;
  DropCounter too_long_{"drop_too_long"};
};

/// Whether a bucket of `bytes` can be computed with: it holds a byte or more, and fills within kMaxFill.
bool makes_sense(std::uint64_t rate, std::uint32_t bytes) {
  return rate != 0 && rate <= kMaxRate && bytes != 0 && ByteTime(rate).bytes_in(kMaxFill) >= bytes;
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
