// SPDX-License-Identifier: BSD-3-Clause
#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <string>
#include <utility>

#include "pollux/runtime/queueing/queue_disciplines.hpp"
#include "runtime/queueing/discipline_parts.hpp"
#include "runtime/queueing/fq_codel_headers.hpp"

namespace pollux {
namespace queueing {
namespace {

constexpr std::uint32_t kMaxFlows = 65536;
constexpr std::uint32_t kMaxQuantum = 1U << 20U;
constexpr Duration kMaxInterval = std::chrono::seconds(60);

struct alignas(64) Flow {
  FrameQueue frames;
  std::uint64_t bytes = 0;
  std::int64_t deficit = 0;
  std::uint32_t next = 0;  // in new_ or old_
  bool listed = false;     // in new_ or old_
  Codel codel;
};

std::uint64_t memory_of(const Mbuf& frame) noexcept {
  std::uint64_t bytes = 0;
  for (const Mbuf* segment = &frame; segment != nullptr; segment = segment->next()) {
    bytes += Mbuf::kHeaderSize + segment->capacity();
  }
  return bytes;
}

class FqCodel final : public QueueDiscipline {
 public:
  FqCodel(const FqCodelOptions& options, std::uint64_t seed)
      : options_(options),
        codel_{CodelTime::from(options.target), CodelTime::from(options.interval), options.mtu},
        ce_threshold_(CodelTime::from(options.ce_threshold.value_or(Duration{}))),
        seed_(seed),
        classes_(options.classifier),
        flows_(options.flows) {}

  [[nodiscard]] Time next_time(Time now) const noexcept override { return backlog_.frames != 0 ? now : Time::max(); }
  [[nodiscard]] QueueBacklog backlog() const noexcept override { return backlog_; }
  [[nodiscard]] std::uint64_t dropped() const noexcept override {
    return over_limit_.value() + over_memory_.value() + by_codel_.value() + no_class_.value();
  }
  [[nodiscard]] std::vector<NamedCount> counters() const override {
    return {named(over_limit_),   named(over_memory_),      named(by_codel_),         named(no_class_),
            {"ecn_mark", marks_}, {"ce_mark", late_marks_}, {"new_flows", new_flows_}};
  }

 private:
  void take(std::span<Mbuf* const> frames, Time now) noexcept override {
    if (options_.classifier) {
      classes_.for_each_run(frames, [&](std::span<Mbuf* const> run, std::uint32_t number) {
        for (Mbuf* const frame : run) {
          if (number < flows_.size()) {
            add(*frame, number, now);
          } else {
            drop(*frame, no_class_);
          }
        }
      });
      return;
    }
    for (Mbuf* const frame : frames) {
      add(*frame, static_cast<std::uint32_t>(std::uint64_t{flow_hash(*frame, seed_)} * options_.flows >> 32U), now);
    }
  }

  void add(Mbuf& frame, std::uint32_t number, Time now) noexcept {
    Flow& flow = flows_[number];
    FrameQueue::note(frame) = CodelTime::units_of(now);
    flow.frames.push(frame);
    const std::uint32_t length = frame.packet_length();
    flow.bytes += length;
    backlog_.bytes += length;
    ++backlog_.frames;
    memory_ += memory_of(frame);
    if (!flow.listed) {
      flow.listed = true;
      flow.deficit = options_.quantum;
      ++new_flows_;
      new_.push(flows_, number);
    }
    const bool memory_exceeded = memory_ > options_.memory_limit;
    if (memory_exceeded || backlog_.frames > options_.limit) [[unlikely]] {
      shorten_longest(memory_exceeded ? over_memory_ : over_limit_);
    }
  }

  /// RFC 8290, "Enqueue": the queue with the most bytes loses half of them, at most a batch of frames, from its front.
  void shorten_longest(DropCounter& why) noexcept {
    // Frames may be empty, so the one with the most bytes may have none.
    const auto size = [](const Flow& flow) { return std::pair(flow.bytes, !flow.frames.empty()); };
    Flow& longest = *std::ranges::max_element(flows_, {}, size);
    const std::uint64_t enough = longest.bytes / 2;
    std::uint64_t bytes = 0;
    std::uint32_t frames = 0;
    do {
      Mbuf& frame = remove_first(longest);
      bytes += frame.packet_length();
      drop(frame, why);
    } while (++frames < options_.drop_batch && bytes < enough);
    longest.codel.add_drops(frames);
  }

  [[nodiscard]] Mbuf& remove_first(Flow& flow) noexcept {
    Mbuf& frame = flow.frames.pop();
    const std::uint32_t length = frame.packet_length();
    flow.bytes -= length;
    backlog_.bytes -= length;
    --backlog_.frames;
    memory_ -= memory_of(frame);
    return frame;
  }

  [[nodiscard]] std::uint32_t give(std::span<Mbuf*> room, std::uint64_t bytes, Time now) noexcept override {
    std::uint32_t count = 0;
    if (!returned_.empty() && !room.empty() && bytes != 0) {
      --backlog_.frames;
      backlog_.bytes -= returned_.length();
      bytes -= std::min<std::uint64_t>(bytes, returned_.length());
      room[count++] = returned_.release();
    }
    while (count < room.size() && bytes != 0) {
      Mbuf* const frame = next_frame(now);
      if (frame == nullptr) break;
      bytes -= std::min<std::uint64_t>(bytes, frame->packet_length());
      room[count++] = frame;
    }
    return count;
  }

  void take_back(Mbuf& frame) noexcept override {
    ++backlog_.frames;
    backlog_.bytes += frame.packet_length();
    returned_.hold(frame);
  }

  /// RFC 8290, "Dequeue": new flows come first; a flow whose deficit is used up, or that became empty while new, goes
  /// to the end of the old ones.
  [[nodiscard]] Mbuf* next_frame(Time now) noexcept {
    while (!new_.empty() || !old_.empty()) {
      const bool is_new = !new_.empty();
      IndexList& list = is_new ? new_ : old_;
      const std::uint32_t number = list.front();
      Flow& flow = flows_[number];
      if (flow.deficit <= 0) {
        flow.deficit += options_.quantum;
        list.pop(flows_);
        old_.push(flows_, number);
        if (!is_new && ++exhausted_ >= old_.size()) skip_rounds();
        continue;
      }
      Mbuf* const frame = codel_dequeue(flow, now);
      if (frame != nullptr) {
        flow.deficit -= frame->packet_length();
        return frame;
      }
      list.pop(flows_);
      // So that a flow cannot stay among the new ones by becoming empty again and again.
      if (is_new && !old_.empty()) {
        old_.push(flows_, number);
      } else {
        flow.listed = false;
      }
    }
    return nullptr;
  }

  /// Does at once the rounds of the old flows in which no deficit becomes positive: with a quantum that is much smaller
  /// than the frames there are thousands. The order of the flows is that after these rounds.
  void skip_rounds() noexcept {
    exhausted_ = 0;
    const std::int64_t quantum = options_.quantum;
    std::int64_t rounds = std::numeric_limits<std::int64_t>::max();
    old_.for_each(flows_,
                  [&](const Flow& flow) { rounds = std::min(rounds, flow.deficit > 0 ? 0 : -flow.deficit / quantum); });
    if (rounds != 0) old_.for_each(flows_, [&](Flow& flow) { flow.deficit += rounds * quantum; });
  }

  struct Candidate {
    Mbuf* frame = nullptr;  // nullptr: the flow is empty
    bool may_drop = false;
  };
  [[nodiscard]] Candidate candidate(Flow& flow, Time now) noexcept {
    if (flow.frames.empty()) {
      flow.codel.is_empty();
      return {};
    }
    Mbuf& frame = remove_first(flow);
    return {&frame, flow.codel.may_drop(codel_, sojourn(frame, now), backlog_.bytes, CodelTime::from(now))};
  }
  [[nodiscard]] static CodelTime sojourn(Mbuf& frame, Time now) noexcept {
    return CodelTime::span(CodelTime::units_of(now) - FrameQueue::note(frame));
  }

  /// RFC 8289, "Dequeue Routine", with marks instead of drops for frames of ECN-capable transports.
  [[nodiscard]] Mbuf* codel_dequeue(Flow& flow, Time now) noexcept {
    Codel& codel = flow.codel;
    Candidate next = candidate(flow, now);
    if (next.frame == nullptr) {
      codel.leave_dropping();
      return nullptr;
    }
    if (codel.dropping()) {
      next = go_on_dropping(flow, next, now);
    } else if (next.may_drop) {
      if (!mark(*next.frame)) {
        drop(*next.frame, by_codel_);
        next = candidate(flow, now);
      }
      codel.enter_dropping(codel_, CodelTime::from(now));
    }
    if (next.frame != nullptr) mark_if_late(*next.frame, now);
    return next.frame;
  }

  [[nodiscard]] Candidate go_on_dropping(Flow& flow, Candidate next, Time now) noexcept {
    Codel& codel = flow.codel;
    if (!next.may_drop) codel.leave_dropping();
    while (codel.dropping() && codel.drop_is_due(CodelTime::from(now))) {
      codel.count_drop();
      if (mark(*next.frame)) {
        codel.schedule_next(codel_);
        break;
      }
      drop(*next.frame, by_codel_);
      next = candidate(flow, now);
      if (next.may_drop) {
        codel.schedule_next(codel_);
      } else {
        codel.leave_dropping();
      }
    }
    return next;
  }

  [[nodiscard]] bool mark(Mbuf& frame) noexcept {
    if (!options_.ecn || !mark_congestion(frame)) return false;
    ++marks_;
    return true;
  }
  void mark_if_late(Mbuf& frame, Time now) noexcept {
    if (options_.ce_threshold && sojourn(frame, now).is_after(ce_threshold_) && mark_congestion(frame)) ++late_marks_;
  }

  const FqCodelOptions options_;
  const CodelParameters codel_;
  const CodelTime ce_threshold_;
  const std::uint64_t seed_;
  Classes classes_;
  std::vector<Flow> flows_;
  IndexList new_;
  IndexList old_;
  std::size_t exhausted_ = 0;  // turns of old flows that gave nothing, since the last look at all of them
  QueueBacklog backlog_;
  HeldFrame returned_;
  std::uint64_t memory_ = 0;
  std::uint64_t marks_ = 0;
  std::uint64_t late_marks_ = 0;
  std::uint64_t new_flows_ = 0;
  DropCounter over_limit_{"drop_limit"};
  DropCounter over_memory_{"drop_memory"};
  DropCounter by_codel_{"drop_codel"};
  DropCounter no_class_{"drop_no_class"};
};

Result<void> check(const FqCodelOptions& options) {
  const auto reject = [](std::string what, std::string hint) {
    return fail(ErrorCode::invalid_argument, "fq_codel " + std::move(what), std::move(hint));
  };
  const auto text = [](auto number) { return std::to_string(number); };
  if (options.flows == 0 || options.flows > kMaxFlows) {
    return reject("has " + text(options.flows) + " flows", "set FqCodelOptions::flows from 1 to 65536");
  }
  if (options.limit == 0 || options.memory_limit == 0 || options.drop_batch == 0) {
    return reject("has a limit of " + text(options.limit) + " frames, " + text(options.memory_limit) +
                      " bytes of memory and " + text(options.drop_batch) + " drops at once",
                  "set each of them to 1 or more");
  }
  if (options.quantum == 0 || options.quantum > kMaxQuantum) {
    return reject("has a quantum of " + text(options.quantum) + " bytes", "set a quantum from 1 to 2^20");
  }
  if (options.target <= Duration{} || options.interval <= options.target || options.interval > kMaxInterval) {
    return reject("has a target of " + text(options.target.count()) + " ns and an interval of " +
                      text(options.interval.count()) + " ns",
                  "set a target above 0 and an interval above it, at most 60 s");
  }
  if (options.ce_threshold && (*options.ce_threshold < Duration{} || *options.ce_threshold > kMaxInterval)) {
    return reject("has a ce_threshold of " + text(options.ce_threshold->count()) + " ns", "set it from 0 to 60 s");
  }
  return {};
}

}  // namespace
}  // namespace queueing

Result<std::unique_ptr<QueueDiscipline>> make_fq_codel(const FqCodelOptions& options) {
  if (auto checked = queueing::check(options); !checked) return pass_on(std::move(checked));
  std::uint64_t seed = options.seed.value_or(0);
  if (!options.seed && ::getrandom(&seed, sizeof seed, 0) != sizeof seed) {
    return fail_errno(ErrorCode::io_error, "no random seed for fq_codel", errno, "set FqCodelOptions::seed");
  }
  return std::make_unique<queueing::FqCodel>(options, seed);
}

}  // namespace pollux
